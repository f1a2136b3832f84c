package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/pxactions/px/store"
)

type verifyCmd struct {
	JSON bool `help:"One JSON object."`
}

// Run checks every invariant; exit code 1 if any is broken.
func (c verifyCmd) Run(ctx context.Context, s *Settings) (err error) {
	a, err := openCommand(ctx, s, "verify")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	found, err := a.engine.Verify(ctx, a.queue)
	if err != nil {
		return err
	}
	if c.JSON {
		err = json.NewEncoder(os.Stdout).Encode(map[string]any{"violations": violations(found), "findings": found})
		if err == nil && len(found) > 0 {
			return errFound
		}
		return err
	}
	for _, f := range found {
		fmt.Printf("%s  %s: %d rows, such as %v\n", f.Invariant, f.What, f.Count, f.Examples)
	}
	if len(found) > 0 {
		return errFound
	}
	fmt.Println("every invariant holds")
	return nil
}

func violations(found []store.Finding) (n int64) {
	for _, f := range found {
		n += f.Count
	}
	return n
}
