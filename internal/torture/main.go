// Command torture runs real px processes on private servers and a fast domain
// clock, lets source systems and people act at random while faults are
// injected, and compares all that became of it with an independent model of the
// rules: which deadline events there must be, in which order, planned for which
// instants; one decision for each accepted feedback; one message for each that
// was to be told; each granted move made once.
//
//	go run ./internal/torture -seed 1 -hours 24
//
// The seed decides what is sent, what people do and which faults come in which
// order. How all that meets in time the machine decides: a seed shows the same
// storm, not the same raindrops.
//
// The model covers SLA configs that count elapsed hours, without
// acknowledgement, and the moves start, submit, approve, reject, close, cancel,
// reopen, assign, severity, due, hold, resume and note. It does not cover
// calendars, merging, other departments, escalation by hand, revision of
// feedback, and re-applied policies.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/pxactions/px/internal/tool"
	"github.com/pxactions/px/tasks"
)

var errDiverged = errors.New("the history is not what the rules say")

func main() {
	tasks.LogRedis(zerolog.Nop())
	tool.Main("torture", torture)
}

func torture(ctx context.Context, args []string, out, _ io.Writer) error {
	cfg := config{out: out}
	fs := flag.NewFlagSet("torture", flag.ContinueOnError)
	fs.SetOutput(out)
	fs.Uint64Var(&cfg.seed, "seed", 1, "of what is sent, moved and broken")
	fs.Float64Var(&cfg.hours, "hours", 24, "of domain time in which things happen")
	fs.Float64Var(&cfg.speed, "speed", 720, "of domain time")
	fs.Float64Var(&cfg.rate, "rate", 4, "feedback in a real second")
	fs.Float64Var(&cfg.moves, "moves", 6, "moves in a real second")
	fs.StringVar(&cfg.px, "px", "", "a built px (default: one of the tree)")
	fs.StringVar(&cfg.tree, "tree", ".", "the source to build px from")
	fs.StringVar(&cfg.before, "before", releaseBefore, "the release before, a commit of the tree's repository")
	fs.StringVar(&cfg.only, "only", "", "names of faults, with commas (default: all)")
	fs.DurationVar(&cfg.drain, "drain", 4*time.Minute, "for what is left at the end; the retries of refused messages take the longest")
	mutated := fs.Bool("mutants", false, "torture the tree with one bug after another, which must be found")
	pick := fs.String("mutant", "", "part of the name of the only mutants to torture")
	fs.StringVar(&cfg.report, "report", "", "file to write the report to, as markdown")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if err := cfg.check(); err != nil {
		return err
	}
	if *mutated {
		return hunt(ctx, cfg, *pick)
	}
	res, err := run(ctx, cfg)
	if err != nil {
		return err
	}
	res.write(out)
	if cfg.report != "" {
		f, err := os.Create(cfg.report)
		if err != nil {
			return err
		}
		res.write(f)
		if err := f.Close(); err != nil {
			return err
		}
	}
	if len(res.found) > 0 {
		return fmt.Errorf("%w: seed %d, %d divergences", errDiverged, cfg.seed, len(res.found))
	}
	return nil
}

// check names each flag that is out of its range.
func (cfg config) check() error {
	var errs []error
	for name, v := range map[string]float64{"hours": cfg.hours, "speed": cfg.speed, "rate": cfg.rate, "moves": cfg.moves} {
		if v <= 0 {
			errs = append(errs, fmt.Errorf("-%s: must be greater than 0", name))
		}
	}
	if len(deck(cfg.only)) == 0 {
		var names []string
		for _, f := range faults() {
			names = append(names, f.name)
		}
		errs = append(errs, fmt.Errorf("-only: no fault of that name; there are %s", strings.Join(names, ", ")))
	}
	return errors.Join(errs...)
}
