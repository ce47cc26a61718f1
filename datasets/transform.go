package datasets

import "hdas/setting"

// Transform is what happens to an image on its way into a batch, in this order: a random crop (of
// one of two kinds), a flip, a policy (AutoAugment or RandAugment), colour jitter, normalisation,
// cutout, erasing; at last batches are mixed. All have torchvision's meaning. The zero Transform
// normalises only.
type Transform struct {
	Padding     int       `mapstructure:"padding" yaml:"padding"`           // pixels added on each side before a random crop to the old size; 0: no such crop
	Fill        byte      `mapstructure:"fill" yaml:"fill"`                 // grey of the added pixels, 0 to 255
	ResizedCrop bool      `mapstructure:"resized_crop" yaml:"resized_crop"` // a part of random area and aspect ratio, resized
	CropScale   []float64 `mapstructure:"crop_scale" yaml:"crop_scale"`     // resized_crop: its area, least and largest share of the image's
	CropRatio   []float64 `mapstructure:"crop_ratio" yaml:"crop_ratio"`     // resized_crop: its width / height, least and largest
	Flip        bool      `mapstructure:"flip" yaml:"flip"`                 // mirrored left to right half of the time

	AutoAugment string      `mapstructure:"autoaugment" yaml:"autoaugment"` // none, cifar10, imagenet: the policy found on that data set (arXiv:1805.09501)
	RandAugment RandAugment `mapstructure:"randaugment" yaml:"randaugment"`
	ColorJitter ColorJitter `mapstructure:"color_jitter" yaml:"color_jitter"`

	Cutout  int     `mapstructure:"cutout" yaml:"cutout"`   // side of a square set to 0 around a random pixel, after normalisation, rounded down to an even number; 0: none
	Erasing float64 `mapstructure:"erasing" yaml:"erasing"` // probability that a random rectangle is set to 0, after normalisation (arXiv:1708.04896)

	// Of a pair of images in a batch; where both are on, each batch has one of them, as likely as the other.
	Mixup  float64 `mapstructure:"mixup" yaml:"mixup"`   // both parameters of the beta distribution of the share (arXiv:1710.09412); 0: none
	Cutmix float64 `mapstructure:"cutmix" yaml:"cutmix"` // the same for the area of a rectangle of the other image (arXiv:1905.04899); 0: none
}

// RandAugment is arXiv:1909.13719: so many operations, drawn anew for each image.
type RandAugment struct {
	Ops       int `mapstructure:"ops" yaml:"ops"`             // 0: none
	Magnitude int `mapstructure:"magnitude" yaml:"magnitude"` // 0 to 30
}

// ColorJitter changes colours in a random order: brightness, contrast and saturation by a factor
// from 1-x to 1+x (at least 0), hue by a part of a turn from -x to x.
type ColorJitter struct {
	Brightness float64 `mapstructure:"brightness" yaml:"brightness"`
	Contrast   float64 `mapstructure:"contrast" yaml:"contrast"`
	Saturation float64 `mapstructure:"saturation" yaml:"saturation"`
	Hue        float64 `mapstructure:"hue" yaml:"hue"` // up to 0.5
}

const (
	maxPadding = 256
	maxCutout  = 4096
	maxJitter  = 10
	maxMagnify = 1000 // of a crop's aspect ratio
	maxBeta    = 100
	noPolicy   = "none"
	maxRandOps = 8
	randBins   = 31 // of RandAugment's magnitudes
	autoBins   = 10 // of AutoAugment's
	autoOps    = 2  // of a sub-policy
	tries      = 10 // to draw a rectangle that fits
)

// torchvision's ranges of random rectangles.
var (
	defaultScale = [2]float64{0.08, 1} // area of a crop, share of the image's
	defaultRatio = [2]float64{3. / 4, 4. / 3}
	eraseScale   = [2]float64{0.02, 0.33}
	eraseRatio   = [2]float64{0.3, 3.3} // height / width
)

// between are two numbers of a setting, or the default's.
func between(list []float64, otherwise [2]float64) [2]float64 {
	if len(list) != 2 {
		return otherwise
	}
	return [2]float64(list)
}

// Validate names every impossible value, and every setting without use.
func (t Transform) Validate() error {
	var f setting.Faults
	f.Check(t.Padding >= 0 && t.Padding <= maxPadding, "padding", t.Padding, "is not in 0..%d", maxPadding)
	f.Check(t.Padding == 0 || !t.ResizedCrop, "padding", t.Padding, "and resized_crop are two kinds of crop; set padding=0 or resized_crop=false")
	f.Check(t.Fill == 0 || t.Padding > 0, "fill", t.Fill, "is the grey of padding, of which there is none")
	scale, ratio := between(t.CropScale, defaultScale), between(t.CropRatio, defaultRatio)
	f.Check(len(t.CropScale) == 0 || len(t.CropScale) == 2 && scale[0] > 0 && scale[0] <= scale[1] && scale[1] <= 1, "crop_scale", t.CropScale, "is not two rising numbers in (0,1]")
	f.Check(len(t.CropRatio) == 0 || len(t.CropRatio) == 2 && ratio[0] >= 1./maxMagnify && ratio[0] <= ratio[1] && ratio[1] <= maxMagnify,
		"crop_ratio", t.CropRatio, "is not two rising numbers in [1/%d,%d]", maxMagnify, maxMagnify)
	f.Check(t.ResizedCrop || len(t.CropScale) == 0, "crop_scale", t.CropScale, "is of resized_crop, which is off")
	f.Check(t.ResizedCrop || len(t.CropRatio) == 0, "crop_ratio", t.CropRatio, "is of resized_crop, which is off")
	setting.Word(&f, "autoaugment", t.policy(), append([]string{noPolicy}, policyNames()...))
	f.Check(t.policy() == noPolicy || t.RandAugment.Ops == 0, "autoaugment", t.AutoAugment, "and randaugment are two policies; choose one")
	f.Check(t.RandAugment.Ops >= 0 && t.RandAugment.Ops <= maxRandOps, "randaugment.ops", t.RandAugment.Ops, "is not in 0..%d", maxRandOps)
	f.Check(t.RandAugment.Magnitude >= 0 && t.RandAugment.Magnitude < randBins, "randaugment.magnitude", t.RandAugment.Magnitude, "is not in 0..%d", randBins-1)
	within := func(key string, x, most float64) { f.Check(x >= 0 && x <= most, key, x, "is not in [0,%v]", most) }
	within("color_jitter.brightness", t.ColorJitter.Brightness, maxJitter)
	within("color_jitter.contrast", t.ColorJitter.Contrast, maxJitter)
	within("color_jitter.saturation", t.ColorJitter.Saturation, maxJitter)
	within("color_jitter.hue", t.ColorJitter.Hue, 0.5)
	f.Check(t.Cutout >= 0 && t.Cutout <= maxCutout, "cutout", t.Cutout, "is not in 0..%d", maxCutout)
	within("erasing", t.Erasing, 1)
	within("mixup", t.Mixup, maxBeta)
	within("cutmix", t.Cutmix, maxBeta)
	f.Finite(t)
	return f.Err()
}

// Mixes says whether images of a batch, and so their labels, are mixed.
func (t Transform) Mixes() bool { return t.Mixup > 0 || t.Cutmix > 0 }

func (t Transform) policy() string {
	if t.AutoAugment == "" {
		return noPolicy
	}
	return t.AutoAugment
}

// recolours says whether bytes are changed between crop and normalisation.
func (t Transform) recolours() bool {
	return t.policy() != noPolicy || t.RandAugment.Ops > 0 || t.ColorJitter != ColorJitter{}
}
