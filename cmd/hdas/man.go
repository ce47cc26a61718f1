package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func (p *program) man() *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Short: "Write a manual page of each command into a folder",
		Long: `Write a manual page of each command, hdas.1, hdas-train.1 and so on, into a
folder, for the command man.`,
		Example: "  hdas man ~/.local/share/man/man1 && man hdas-train",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, a []string) error {
			if err := os.MkdirAll(a[0], 0o755); err != nil {
				return err
			}
			header := doc.GenManHeader{Section: "1", Source: "hdas", Manual: "hdas"}
			if date, err := time.Parse(time.RFC3339, sourceOf().Date); err == nil {
				header.Date = &date
			}
			root := c.Root()
			root.DisableAutoGenTag = true
			if err := doc.GenManTree(root, &header, a[0]); err != nil {
				return err
			}
			pages, err := filepath.Glob(filepath.Join(a[0], root.Name()+"*.1"))
			if err != nil {
				return err
			}
			return p.print(pages, func(w io.Writer) { fmt.Fprintf(w, "%d pages in %s\n", len(pages), plain(a[0])) })
		},
	}
}
