package datasets

// OpenCIFAR10With opens a split from a folder whose files have that many images each.
func OpenCIFAR10With(dir, split string, records int) (Dataset, error) {
	f, err := findCIFAR10(dir)
	if err != nil {
		return nil, err
	}
	f.records = records
	return f.open(split)
}
