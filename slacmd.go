package main

import (
	"bytes"
	"fmt"

	"github.com/pxactions/px/sla"
)

type slaCmd struct {
	Check slaCheckCmd `cmd:"" help:"Work the cases of a file out on the SLA clock; exit code 1 if any differs."`
}

type slaCheckCmd struct {
	File string `arg:"" placeholder:"FILE" help:"Calendars and cases as JSON; - reads standard input."`
}

// Run prints a line for each case that differs, and how many passed.
func (c slaCheckCmd) Run() error {
	src, err := readFile(c.File)
	if err != nil {
		return err
	}
	cases, err := sla.ReadClockCases(bytes.NewReader(src))
	if err != nil {
		return usagef("%s: %w", c.File, err)
	}
	failures, passed := cases.Failures()
	for _, line := range failures {
		fmt.Println(line)
	}
	fmt.Printf("%d passed, %d failed\n", passed, len(failures))
	if len(failures) > 0 {
		return errFound
	}
	return nil
}
