package datasets

import (
	"fmt"
	"maps"
	"slices"

	"hdas/setting"
)

// descriptions holds the data sets that can be described without their files. Data sets whose classes
// follow from their files are not in it.
var descriptions = map[string]func() (Info, error){
	"cifar10":  func() (Info, error) { return cifar10.info, nil },
	"cifar100": func() (Info, error) { return cifar100.info, nil },
	"imagenet": func() (Info, error) { return imagenetInfo, nil },
	"digits": func() (Info, error) {
		d, err := openDigits(Spec{}, Test)
		if err != nil {
			return Info{}, err
		}
		return d.Info(), nil
	},
}

// Describe returns the description of a data set without reading its files. It returns an error for an
// unknown name, and for a data set whose classes follow from its files.
func Describe(name string) (Info, error) {
	info, ok := descriptions[name]
	if !ok {
		return Info{}, fmt.Errorf("data set %q cannot be described without its files; possible are %s%s", name, setting.List(Described()), setting.Meant(name, Described()))
	}
	return info()
}

// Described returns the names of the data sets that Describe knows, sorted.
func Described() []string { return slices.Sorted(maps.Keys(descriptions)) }

// The mean and standard deviation that torchvision and DARTS use.
var imagenetInfo = Info{
	Name: "imagenet", Channels: 3, Height: 224, Width: 224,
	Mean:   []float64{0.485, 0.456, 0.406},
	Std:    []float64{0.229, 0.224, 0.225},
	Origin: "ILSVRC 2012 (Olga Russakovsky et al.: ImageNet Large Scale Visual Recognition Challenge, 2015)",
}
