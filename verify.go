package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/scheduler"
	"github.com/pxactions/px/store"
)

type verifyCmd struct {
	JSON   bool   `help:"One JSON object."`
	Marker string `placeholder:"TEXT" help:"Look for this text, such as words of a patient, in every key and value of Redis, too. Four characters at least; it is never printed."`
	Repair bool   `help:"Say which sweeps would mend what was found; with --yes, run them and check again."`
	Yes    bool   `help:"With --repair: do it."`
}

// shortestMarker is how many bytes a marker has at least: shorter ones stand
// everywhere.
const shortestMarker = 4

// Run checks every invariant; exit code 1 if any is broken, or if Redis is away
// and could not be asked.
func (c verifyCmd) Run(ctx context.Context, s *Settings) (err error) {
	if c.Marker != "" && len(c.Marker) < shortestMarker {
		return usagef("--marker: want a text of %d characters at least", shortestMarker)
	}
	if c.Yes && !c.Repair {
		return usagef("--yes: only with --repair")
	}
	a, err := openCommand(ctx, s, "verify")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	v, err := c.verify(ctx, a)
	if err == nil && c.Yes && len(repairs(v.Findings)) > 0 {
		healed, herr := a.heal(ctx, repairs(v.Findings))
		if v, err = c.verify(ctx, a); herr != nil {
			err = errors.Join(herr, err)
		}
		v.Healed = healed
	}
	if err != nil {
		return err
	}
	if c.JSON {
		err = json.NewEncoder(os.Stdout).Encode(v)
	} else {
		c.print(v)
	}
	if err == nil && (len(v.Findings) > 0 || !v.RedisChecked) {
		return errFound
	}
	return err
}

// verified is what a check found, as --json tells it.
type verified struct {
	Violations   int64           `json:"violations"`
	Findings     []store.Finding `json:"findings"`
	RedisChecked bool            `json:"redis_checked"`
	Healed       map[string]int  `json:"healed,omitempty"` // by sweep, what --repair --yes did before
}

func (c verifyCmd) verify(ctx context.Context, a *app) (verified, error) {
	found, err := a.engine.Verify(ctx, a.queue)
	if err == nil && c.Marker != "" {
		var marked []store.Finding
		marked, err = a.engine.FindText(ctx, a.queue, c.Marker)
		found = append(found, marked...)
	}
	v := verified{Violations: violations(found), Findings: found, RedisChecked: true}
	if errors.Is(err, engine.ErrQueueUnasked) {
		v.RedisChecked, err = false, nil
	}
	return v, err
}

func violations(found []store.Finding) (n int64) {
	for _, f := range found {
		n += f.Count
	}
	return n
}

// repairs are the sweeps that mend some of what was found.
func repairs(found []store.Finding) []string {
	names := map[string]bool{}
	for _, f := range found {
		if f.HealedBy != "" {
			names[f.HealedBy] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// heal runs sweeps, as a scheduler would, and returns how much each healed.
func (a *app) heal(ctx context.Context, names []string) (map[string]int, error) {
	sch := scheduler.New(scheduler.Options{
		Engine: a.engine, Store: a.store, Redis: a.queue, Metrics: a.metrics, Log: a.log, Holder: a.holder,
	})
	return sch.Only(ctx, names...)
}

func (c verifyCmd) print(v verified) {
	for _, name := range slices.Sorted(maps.Keys(v.Healed)) {
		fmt.Printf("sweep %s: %d healed\n", name, v.Healed[name])
	}
	for _, f := range v.Findings {
		fmt.Printf("%s  %s: %d rows, such as %v\n", f.Invariant, f.What, f.Count, f.Examples)
		switch {
		case c.Repair && f.HealedBy == "":
			fmt.Println("    no sweep mends this: see docs/operations.md, What px verify finds")
		case c.Yes:
			fmt.Printf("    still there after the sweep %s\n", f.HealedBy)
		case c.Repair:
			fmt.Printf("    the sweep %s would mend this\n", f.HealedBy)
		}
	}
	names := repairs(v.Findings)
	if c.Repair && !c.Yes && len(names) > 0 {
		fmt.Printf("nothing was changed; with --yes these sweeps run: %s\n", strings.Join(names, ", "))
	}
	switch found := len(v.Findings) > 0; {
	case !v.RedisChecked && !found:
		fmt.Println("every invariant that the database can show holds; Redis is away: its jobs were not checked")
	case !v.RedisChecked:
		fmt.Println("Redis is away: its jobs were not checked")
	case !found:
		fmt.Println("every invariant holds")
	}
}
