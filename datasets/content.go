package datasets

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
)

// Content is what a part of a data set holds, by which a changed one is known.
type Content struct {
	Images int
	Counts []int            // by class
	Digest string           // of the labels and pixels; of files their paths and sizes, in their order
	Files  map[string]int64 // of one's own images, the size of each file by its path
}

// ContentOf looks through a part of a data set. It reads no image files.
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
