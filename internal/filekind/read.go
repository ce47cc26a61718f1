package filekind

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// Open opens a regular file and returns its size, which is at most the given number of bytes. Folders, pipes
// and devices are errors. It does not wait for the writer of a pipe.
func Open(path string, most int64) (f *os.File, size int64, err error) {
	f, info, err := open(path, func(mode os.FileMode) bool { return mode.IsRegular() })
	if err != nil {
		return nil, 0, err
	}
	if size = info.Size(); size > most {
		f.Close()
		return nil, size, tooLarge(path, most)
	}
	return f, size, nil
}

// Read reads a file of at most the given number of bytes. Folders and devices are errors. Pipes are allowed,
// because <(COMMAND) of a shell is one; if a pipe has no writer, Read does not wait and returns no bytes.
// With the error for a larger file it returns the first bytes.
func Read(path string, most int64) ([]byte, error) {
	f, info, err := open(path, func(mode os.FileMode) bool { return mode.IsRegular() || mode&os.ModeNamedPipe != 0 })
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info.Size() > most {
		head := make([]byte, min(most, 4096))
		n, err := io.ReadFull(f, head)
		return head[:n], errors.Join(err, tooLarge(path, most))
	}
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		return data[:most], tooLarge(path, most)
	}
	return data, err
}

func tooLarge(path string, most int64) error {
	return fmt.Errorf("%s is larger than %d bytes", path, most)
}

func open(path string, may func(os.FileMode) bool) (*os.File, os.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !may(info.Mode()) {
		err = fmt.Errorf("%s is not a file", path)
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}
