package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// mutant is a bug that somebody might write, as edits of the source. The
// harness has to find it.
type mutant struct {
	name   string
	faults string // with commas; empty: all
	edits  []edit
}

// edit replaces a text that stands once in a file.
type edit struct{ file, old, new string }

// early lets a transaction tell the queue of what it has not committed.
const early = `var Early func(context.Context, tasks.Effects) ([]tasks.Arm, error)

func wake(ctx context.Context, e tasks.Effects) {
	if Early != nil {
		_, _ = Early(ctx, e)
	}
}

`

// mutants lists them.
func mutants() []mutant {
	const fire, store, sweep, deliver = "store/fire.go", "store/store.go", "scheduler/sweep.go", "engine/deliver.go"
	return []mutant{
		{"drop the gen fence", planting, []edit{{fire, "c == nil || c.Action.Gen != ref.Gen ||", "c == nil ||"}}},
		{"drop the gen fence, and trust the job's time", planting, []edit{
			{fire, "c == nil || c.Action.Gen != ref.Gen ||", "c == nil ||"},
			{fire, "if a.NextAt.After(now) {", "if a.NextAt.After(now) {\n\t\tnow = *a.NextAt\n\t}\n\tif a.NextAt.After(now) {"},
		}},
		{"note jobs as armed that the queue never got", "redis partition", []edit{
			{"engine/engine.go", "MarkArmed(ctx, armed)", "MarkArmed(ctx, append(armed[:0], effects.Arm...))"},
		}},
		{"arm before commit", "pg cut mid-commit", []edit{
			{"engine/engine.go", "e.acceptGroup = newBatcher(group, e.acceptBatch)\n", "e.acceptGroup = newBatcher(group, e.acceptBatch)\n\tif e.Queue != nil {\n\t\tstore.Early = e.Queue.Enqueue\n\t}\n"},
			{"store/create.go", "func (s *Store) create(", early + "func (s *Store) create("},
			{"store/create.go", "effects.Add(e)\n\t\treturn err\n", "effects.Add(e)\n\t\twake(ctx, e)\n\t\treturn err\n"},
			{"store/move.go", "effects = w.effects()\n", "effects = w.effects()\n\t\twake(ctx, effects)\n"},
			{fire, "effects.Add(w.effects())\n", "effects.Add(w.effects())\n\t\twake(ctx, effects)\n"},
		}},
		{"skip the sweeps", "", []edit{{sweep, "healed, mine, err := s.Run(ctx)\n", "healed, mine, err := 0, true, error(nil)\n"}}},
		{"swallow a commit's error", "pg cut mid-commit", []edit{
			{store, "err := s.db.RunInTx(ctx, o, func(", "ended := false\n\terr := s.db.RunInTx(ctx, o, func("},
			{store, "return fn(ctx, tx, txState{Now: r.now(), Rules: rules, Dir: dir})", "err = fn(ctx, tx, txState{Now: r.now(), Rules: rules, Dir: dir})\n\t\tended = err == nil\n\t\treturn err"},
			{store, "return mapErr(err)\n}\n\n// second", "if ended {\n\t\treturn nil\n\t}\n\treturn mapErr(err)\n}\n\n// second"},
		}},
		{"mark sent before sending", "kill worker,receiver refuses", []edit{
			{deliver, "s := e.send(sendCtx, c.Claimed)\n", "s := store.Settled{ID: c.ID, Attempts: c.Attempts, State: model.MessageSent}\n\tdefer e.send(sendCtx, c.Claimed)\n"},
		}},
		{"count stages twice", "kill worker", []edit{{"sla/fire.go", "a.EscalationLevel++", "a.EscalationLevel += 2"}}},
		{"forget the reminders", "kill worker", []edit{{"sla/plan.go", "c.acknowledgement(), c.reminders(), c.overdue()", "c.acknowledgement(), c.overdue()"}}},
		{"fire a minute early", "kill worker", []edit{
			{fire, "if a.NextAt.After(now) {", "now = now.Add(time.Minute)\n\tif a.NextAt.After(now) {"},
		}},
		{"settle what a minute later is due", "kill worker", []edit{
			{"sla/fire.go", "if e.At.After(t.now) ||", "if e.At.After(t.now.Add(time.Minute)) ||"},
		}},
		{"drop the loss counter", "redis flush", []edit{{sweep, `, Sweep{"lost", lost(e, q)})`, `)`}, {sweep, "if q == nil {", "_ = lost\n\tif q == nil {"}}},
		{"lose duplicates' first answer", "kill worker", []edit{
			{"engine/accept.go", "case !a.New:\n", "case !a.New:\n\t\t\ta.Row.ID = d.row.ID\n"},
		}},
		{"collapse the ladder after an outage", "pg restart,redis hangs", []edit{{"sla/plan.go", "2*late > gap", "false && 2*late > gap"}}},
		{"let a hold cost nothing", "kill worker", []edit{{"sla/replan.go", "return whole(t.clock().Add(a.DueAt, open))", "return a.DueAt"}}},
		{"forget whom the message was for", "kill worker", []edit{{"sla/tell.go", "for _, id := range to {\n\t\tv.to = id\n", "for _, id := range to {\n\t\tif v.to = id; v.copy {\n\t\t\tcontinue\n\t\t}\n"}}},
		{"forget the moves made before", "kill web,pg cut mid-commit", []edit{{"web/apimove.go", "if once != \"\" {\n\t\task.Once", "if false {\n\t\task.Once"}}},
	}
}

// edited are the sources of the tree that the mutant edits, by their paths.
func (m mutant) edited(tree string) (map[string]string, error) {
	sources := map[string]string{}
	for _, e := range m.edits {
		path, err := filepath.Abs(filepath.Join(tree, e.file))
		if err != nil {
			return nil, err
		}
		src, before := sources[path]
		if !before {
			raw, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			src = string(raw)
		}
		if n := strings.Count(src, e.old); n != 1 {
			return nil, fmt.Errorf("%s has %q %d times, want once", e.file, e.old, n)
		}
		sources[path] = strings.Replace(src, e.old, e.new, 1)
	}
	return sources, nil
}

// hunt tortures each mutant and says what was found of it, as a table. One that
// is not found is an error.
func hunt(ctx context.Context, cfg config, pick string) error {
	var survivors []string
	table := "| mutant | found by | divergences |\n| --- | --- | --- |\n"
	for _, m := range mutants() {
		if !strings.Contains(m.name, pick) {
			continue
		}
		res, err := m.run(ctx, cfg)
		if err != nil {
			return fmt.Errorf("mutant %q: %w", m.name, err)
		}
		if len(res.found) == 0 {
			survivors = append(survivors, m.name)
		}
		row := fmt.Sprintf("| %s | %s | %d |\n", m.name, telling(res.found), len(res.found))
		table += row
		fmt.Fprint(cfg.out, row)
	}
	fmt.Fprintf(cfg.out, "\n%s", table)
	if len(survivors) > 0 {
		return fmt.Errorf("not found: %s", strings.Join(survivors, "; "))
	}
	return nil
}

// telling is the divergence that says most: not that something was left in the end.
func telling(found []divergence) string {
	if len(found) == 0 {
		return "nothing"
	}
	d := found[0]
	if i := slices.IndexFunc(found, func(d divergence) bool { return d.where != theEnd && d.where != "px verify" }); i >= 0 {
		d = found[i]
	}
	return cut(d.where, 40) + ": expected " + cut(d.expected, 120) + "; found " + cut(d.found, 120)
}

// cut keeps a text in a cell of a table, and short.
func cut(s string, most int) string {
	if s = strings.Join(strings.Fields(strings.ReplaceAll(s, "|", "/")), " "); len(s) > most {
		return s[:most] + " …"
	}
	return s
}

func (m mutant) run(ctx context.Context, cfg config) (res *result, err error) {
	dir, err := os.MkdirTemp("", "px-mutant-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	sources, err := m.edited(cfg.tree)
	if err != nil {
		return nil, err
	}
	list, err := overlay(dir, sources)
	if err != nil {
		return nil, err
	}
	if cfg.px, err = buildPX(ctx, cfg.tree, dir, "-overlay", list); err != nil {
		return nil, err
	}
	cfg.only, cfg.out = m.faults, io.Discard
	return run(ctx, cfg)
}
