package datasets

import "hdas/setting"

// Transform describes the augmentation of images, in this order: random crop (of one of two kinds),
// flip, policy (AutoAugment or RandAugment), colour jitter, normalisation, cutout, random erasing.
// Finally the images of a batch are mixed. All steps work as in torchvision. The zero Transform only
// normalises.
type Transform struct {
	Padding     int       `mapstructure:"padding" yaml:"padding" range:"0..256" help:"pixels added on each side before a random crop to the original size; 0: no such crop"`
	Fill        byte      `mapstructure:"fill" yaml:"fill" help:"value of the added pixels in all channels"`
	ResizedCrop bool      `mapstructure:"resized_crop" yaml:"resized_crop" help:"RandomResizedCrop: crop a part of random area and aspect ratio, and resize it"`
	CropScale   []float64 `mapstructure:"crop_scale" yaml:"crop_scale" range:"(0,1]" help:"for resized_crop: smallest and largest area, relative to the image; empty: [0.08,1]"`
	CropRatio   []float64 `mapstructure:"crop_ratio" yaml:"crop_ratio" range:"[0.001,1000]" help:"for resized_crop: smallest and largest ratio of width to height; empty: [3/4,4/3]"`
	Flip        bool      `mapstructure:"flip" yaml:"flip" help:"mirror left to right with probability 1/2"`

	AutoAugment string      `mapstructure:"autoaugment" yaml:"autoaugment" help:"policy of AutoAugment that was found on that data set (arXiv:1805.09501)" paper:"Table 1"`
	RandAugment RandAugment `mapstructure:"randaugment" yaml:"randaugment"`
	ColorJitter ColorJitter `mapstructure:"color_jitter" yaml:"color_jitter"`

	Cutout  int     `mapstructure:"cutout" yaml:"cutout" range:"0..4096" help:"side in pixels, rounded down to an even number, of a square around a random pixel that is set to 0 after normalisation; 0: none"`
	Erasing float64 `mapstructure:"erasing" yaml:"erasing" range:"[0,1]" help:"probability that a random rectangle is set to 0, after normalisation (arXiv:1708.04896)"`

	// Mixing of pairs of images in a batch. If both are on, each batch uses one of them, with probability 1/2.
	Mixup  float64 `mapstructure:"mixup" yaml:"mixup" range:"[0,100]" help:"a of the distribution Beta(a,a) of the mixing weight of two images (arXiv:1710.09412); 0: none"`
	Cutmix float64 `mapstructure:"cutmix" yaml:"cutmix" range:"[0,100]" help:"the same for the area of a rectangle copied from the other image (arXiv:1905.04899); 0: none"`
}

// RandAugment (arXiv:1909.13719) applies Ops random operations, drawn for each image.
type RandAugment struct {
	Ops       int `mapstructure:"ops" yaml:"ops" range:"0..8" help:"number of RandAugment's random operations (arXiv:1909.13719), drawn for each image; 0: none"`
	Magnitude int `mapstructure:"magnitude" yaml:"magnitude" range:"0..30" help:"strength of RandAugment's operations"`
}

// ColorJitter changes brightness, contrast, saturation and hue in a random order: the first three by a
// factor in [max(0,1-x), 1+x], and hue by a shift in [-x, x], where 1 is the full circle of hues.
type ColorJitter struct {
	Brightness float64 `mapstructure:"brightness" yaml:"brightness" range:"[0,10]" help:"x: brightness changes by a random factor in [max(0,1-x),1+x]"`
	Contrast   float64 `mapstructure:"contrast" yaml:"contrast" range:"[0,10]" help:"the same for contrast"`
	Saturation float64 `mapstructure:"saturation" yaml:"saturation" range:"[0,10]" help:"the same for saturation"`
	Hue        float64 `mapstructure:"hue" yaml:"hue" range:"[0,0.5]" help:"x: hue shifts by a random part in [-x,x] of the full circle"`
}

const (
	maxPadding = 256
	noPolicy   = "none"
	maxRandOps = 8
	randBins   = 31 // number of RandAugment's magnitudes
	autoBins   = 10 // number of AutoAugment's magnitudes
	autoOps    = 2  // number of operations in a sub-policy
	tries      = 10 // number of draws for a rectangle that fits
)

// torchvision's ranges of random rectangles.
var (
	defaultScale = [2]float64{0.08, 1} // area of a crop, relative to the image
	defaultRatio = [2]float64{3. / 4, 4. / 3}
	eraseScale   = [2]float64{0.02, 0.33}
	eraseRatio   = [2]float64{0.3, 3.3} // height / width
)

// between returns the two numbers of a setting, or the default if it has none.
func between(list []float64, otherwise [2]float64) [2]float64 {
	if len(list) != 2 {
		return otherwise
	}
	return [2]float64(list)
}

// Validate returns an error that lists every invalid value and every setting without effect.
func (t Transform) Validate() error {
	var f setting.Faults
	f.Check(t.Padding == 0 || !t.ResizedCrop, "padding", t.Padding, "and resized_crop are two kinds of crop; set padding=0 or resized_crop=false")
	f.Check(t.Fill == 0 || t.Padding > 0, "fill", t.Fill, "is the grey of padding, of which there is none")
	scale, ratio := between(t.CropScale, defaultScale), between(t.CropRatio, defaultRatio)
	f.Check(len(t.CropScale) == 0 || len(t.CropScale) == 2 && !(scale[0] > scale[1]), "crop_scale", t.CropScale, "is not two rising numbers")
	f.Check(len(t.CropRatio) == 0 || len(t.CropRatio) == 2 && !(ratio[0] > ratio[1]), "crop_ratio", t.CropRatio, "is not two rising numbers")
	f.Check(t.ResizedCrop || len(t.CropScale) == 0, "crop_scale", t.CropScale, "is of resized_crop, which is off")
	f.Check(t.ResizedCrop || len(t.CropRatio) == 0, "crop_ratio", t.CropRatio, "is of resized_crop, which is off")
	setting.Word(&f, "autoaugment", t.policy(), append([]string{noPolicy}, policyNames()...))
	f.Check(t.policy() == noPolicy || t.RandAugment.Ops == 0, "autoaugment", t.AutoAugment, "and randaugment are two policies; choose one")
	f.Ranges(t, nil)
	return f.Err()
}

// Mixes reports whether the images of a batch, and thus their labels, are mixed.
func (t Transform) Mixes() bool { return t.Mixup > 0 || t.Cutmix > 0 }

func (t Transform) policy() string {
	if t.AutoAugment == "" {
		return noPolicy
	}
	return t.AutoAugment
}

// recolours reports whether pixels are changed between crop and normalisation.
func (t Transform) recolours() bool {
	return t.policy() != noPolicy || t.RandAugment.Ops > 0 || t.ColorJitter != ColorJitter{}
}
