package main

import (
	"context"
	"os"

	"github.com/pxactions/px/producer/client"
)

type sendCmd struct {
	File   string `arg:"" help:"The file; - reads standard input."`
	Format string `placeholder:"FORMAT" help:"ndjson, json or csv; by default as the file's name or first character says."`
}

// Run sends; exit code 1 if any event failed.
func (c sendCmd) Run(ctx context.Context, s *Settings) error {
	if s.APIKey == "" {
		return usagef("PX_API_KEY: needed by px send; px key create makes one")
	}
	to, err := client.New(s.IntakeURL, s.APIKey)
	if err != nil {
		return usagef("PX_INTAKE_URL: %w", err)
	}
	sum, err := runSend(ctx, sendArgs{File: c.File, Format: c.Format, Client: to, In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	if err == nil && sum.Failed > 0 {
		return errFound
	}
	return err
}
