package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/store"
)

type verifyCmd struct {
	JSON bool `help:"One JSON object."`
}

// Run checks every invariant; exit code 1 if any is broken, or if Redis is away
// and could not be asked.
func (c verifyCmd) Run(ctx context.Context, s *Settings) (err error) {
	a, err := openCommand(ctx, s, "verify")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	found, err := a.engine.Verify(ctx, a.queue)
	unasked := errors.Is(err, engine.ErrQueueUnasked)
	if err != nil && !unasked {
		return err
	}
	if c.JSON {
		err = json.NewEncoder(os.Stdout).Encode(map[string]any{"violations": violations(found), "findings": found, "redis_checked": !unasked})
		if err != nil {
			return err
		}
	} else {
		printFindings(found, unasked)
	}
	if len(found) > 0 || unasked {
		return errFound
	}
	return nil
}

func printFindings(found []store.Finding, unasked bool) {
	for _, f := range found {
		fmt.Printf("%s  %s: %d rows, such as %v\n", f.Invariant, f.What, f.Count, f.Examples)
	}
	switch {
	case unasked && len(found) == 0:
		fmt.Println("every invariant that the database can show holds; Redis is away: its jobs were not checked")
	case unasked:
		fmt.Println("Redis is away: its jobs were not checked")
	case len(found) == 0:
		fmt.Println("every invariant holds")
	}
}

func violations(found []store.Finding) (n int64) {
	for _, f := range found {
		n += f.Count
	}
	return n
}
