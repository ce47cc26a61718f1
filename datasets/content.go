package datasets

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
)

// Content describes a part of a data set so that a change can be recognised.
type Content struct {
	Images int
	Counts []int            // by class
	Digest string           // of labels and pixels, or of the paths and sizes of files, in their order
	Files  map[string]int64 // of the user's own images: the size of each file by path
}

// ContentOf returns the content of a part of a data set. It opens no image files.
func ContentOf(d Dataset) (Content, error) {
	c := Content{Images: d.Len(), Counts: make([]int, len(d.Info().Classes))}
	h := sha256.New()
	if err := c.add(h, d); err != nil {
		return c, err
	}
	c.Digest = "sha256:" + hex.EncodeToString(h.Sum(nil))
	return c, nil
}

func (c *Content) add(h hash.Hash, d Dataset) error {
	switch d := d.(type) {
	case *scaled:
		return c.add(h, d.Dataset)
	case *restated:
		return c.add(h, d.Dataset)
	case *rgb:
		return c.add(h, d.Dataset)
	case *images:
		for _, label := range d.labels {
			c.Counts[label]++
		}
		h.Write(d.labels)
		h.Write(d.pixels)
		return nil
	case Encoded:
		if Own(d.Info().Name) {
			c.Files = make(map[string]int64, d.Len())
		}
		for i := range d.Len() {
			path, label := d.Entry(i)
			size := d.FileSize(i)
			c.Counts[label]++
			fmt.Fprintf(h, "%d %q\n", size, path)
			if c.Files != nil {
				c.Files[path] = size
			}
		}
		return nil
	}
	image := make([]byte, d.Info().Size())
	for i := range d.Len() {
		label, err := d.At(i, image)
		if err != nil {
			return err
		}
		c.Counts[label]++
		h.Write([]byte{byte(label), byte(label >> 8)})
		h.Write(image)
	}
	return nil
}
