package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/pxactions/px/internal/listbench/crowd"
	"github.com/pxactions/px/store"
)

// bench runs the measurements and keeps them.
type bench struct {
	cfg      config
	store    *store.Store
	progress io.Writer
	server   int // process that serves the store's one connection
	plans    crowd.Plans
	filters  []string // in the order of the table
	kinds    []string // of filters, likewise
	results  []result
	faults   []string
}

// result is one filter in one order for one reader.
type result struct {
	kind, filter, order, reader string
	took, cpu                   series
}

// series are the times of several calls.
type series []time.Duration

func (s series) at(percent int) time.Duration {
	return slices.Sorted(slices.Values(s))[(len(s)*percent+99)/100-1]
}

// judged are the times that count: of the clock, or, on a machine that others
// use, of the processor in the server's process.
func (b *bench) judged(r result) series {
	if b.cfg.busy {
		return r.cpu
	}
	return r.took
}

func (b *bench) run(ctx context.Context) error {
	//lint:ignore SA1019 the store opens its own database; there is no other way in
	b.store.DB().AddQueryHook(&b.plans)
	if err := b.store.DB().NewRaw("SELECT pg_backend_pid()").Scan(ctx, &b.server); err != nil {
		return fmt.Errorf("ask for the server's process: %w", err)
	}
	// All the work is to be seen in that one process.
	if _, err := b.store.DB().NewRaw("SET max_parallel_workers_per_gather = 0").Exec(ctx); err != nil {
		return fmt.Errorf("have no parallel workers: %w", err)
	}
	lists, err := crowd.Find(ctx, b.store.DB(), b.cfg.actions)
	if err != nil {
		return err
	}
	for _, f := range lists.Filters {
		if !strings.Contains(f.Name, b.cfg.only) {
			continue
		}
		b.filters = append(b.filters, f.Name)
		if !slices.Contains(b.kinds, f.Kind) {
			b.kinds = append(b.kinds, f.Kind)
		}
		for _, reader := range lists.Readers {
			f.Filter.Visible = reader.Filter.Visible
			for _, order := range store.ActionOrders() {
				f.Filter.Order = order
				if err := b.pages(ctx, result{kind: f.Kind, filter: f.Name, order: string(order), reader: reader.Name}, f.Filter); err != nil {
					return err
				}
			}
			if err := b.count(ctx, result{kind: f.Kind, filter: f.Name, order: "total", reader: reader.Name}, f.Filter); err != nil {
				return err
			}
		}
		fmt.Fprintf(b.progress, "%s: p95 %.1f ms at most\n", f.Name, ms(b.judged(b.worst(f.Name, "")).at(95)))
	}
	return nil
}

// pages measures the first page, the second, and one that is far.
func (b *bench) pages(ctx context.Context, r result, f store.ActionFilter) error {
	const far, wide = 5, 200
	cursors := []string{""}
	for i, limit := range append([]int{0}, slices.Repeat([]int{wide}, far)...) {
		f.Limit = limit
		page, err := b.store.Actions(ctx, f)
		if err != nil {
			return fmt.Errorf("%s, %s, %s: %w", r.filter, r.order, r.reader, err)
		}
		if f.After = page.Next; f.After == "" {
			break
		}
		if i == 0 || i == far {
			cursors = append(cursors, f.After)
		}
	}
	f.Limit = 0
	for _, f.After = range cursors {
		err := b.measure(ctx, &r, func() error { _, err := b.store.Actions(ctx, f); return err })
		if err != nil {
			return err
		}
	}
	b.results = append(b.results, r)
	return nil
}

// count measures the total, for which nothing is promised but that it is bounded.
func (b *bench) count(ctx context.Context, r result, f store.ActionFilter) error {
	err := b.measure(ctx, &r, func() error { _, _, err := b.store.CountActions(ctx, f); return err })
	b.results = append(b.results, r)
	return err
}

// measure calls what it is given, once to warm up, and looks at the plans of
// that call.
func (b *bench) measure(ctx context.Context, r *result, call func() error) error {
	b.plans.Forget()
	for i := range b.cfg.times + 1 {
		before, err := crowd.Processor(b.server)
		if err != nil {
			return err
		}
		begun := time.Now()
		if err := call(); err != nil {
			return fmt.Errorf("%s, %s, %s: %w", r.filter, r.order, r.reader, err)
		}
		took := time.Since(begun)
		after, err := crowd.Processor(b.server)
		if err != nil {
			return err
		}
		if i > 0 {
			r.took, r.cpu = append(r.took, took), append(r.cpu, after-before)
			continue
		}
		faults, err := b.plans.Faults(ctx, b.store.DB())
		if err != nil {
			return err
		}
		for _, fault := range faults {
			b.faults = append(b.faults, fmt.Sprintf("%s, %s, for a reader of %s: %s", r.filter, r.order, r.reader, fault))
		}
	}
	return nil
}

// together are all times of a kind of filter in an order, for all readers.
func (b *bench) together(kind, order string) series {
	var all series
	for _, r := range b.results {
		if r.kind == kind && r.order == order {
			all = append(all, b.judged(r)...)
		}
	}
	return all
}

// slow adds what takes longer than it may.
func (b *bench) slow() {
	for _, kind := range b.kinds {
		for _, o := range store.ActionOrders() {
			if p95 := b.together(kind, string(o)).at(95); p95 > b.cfg.most {
				b.faults = append(b.faults, fmt.Sprintf("%s, %s: p95 %.1f ms", kind, o, ms(p95)))
			}
		}
	}
}

// worst is the slowest of a filter in an order; empty: in any, but for the total.
func (b *bench) worst(filter, order string) result {
	var worst result
	for _, r := range b.results {
		if r.filter != filter || order != "" && r.order != order || order == "" && r.order == "total" {
			continue
		}
		if worst.took == nil || b.judged(r).at(95) > b.judged(worst).at(95) {
			worst = r
		}
	}
	return worst
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// report prints, for every order, the times of every kind of filter, and of every
// filter those of the reader whose list is slowest.
func (b *bench) report(ctx context.Context, out io.Writer) error {
	var version, buffers string
	if err := b.store.DB().NewRaw("SELECT current_setting('server_version'), current_setting('shared_buffers')").Scan(ctx, &version, &buffers); err != nil {
		return fmt.Errorf("ask PostgreSQL for its settings: %w", err)
	}
	var s strings.Builder
	fmt.Fprintf(&s, "%d CPUs, %s, PostgreSQL %s, shared_buffers %s; %d actions\n", runtime.NumCPU(), runtime.Version(), version, buffers, b.cfg.actions)
	what := "until the answer is there"
	if b.cfg.busy {
		what = "of the processor in the server"
	}
	fmt.Fprintf(&s, "Milliseconds %s, p50 / p95, of all readers\n\n", what)
	table(&s, b.kinds, b.together)
	s.WriteString("\nThe same for each filter, for the reader whose list is slowest\n\n")
	table(&s, b.filters, func(filter, order string) series { return b.judged(b.worst(filter, order)) })
	_, err := io.WriteString(out, s.String())
	return err
}

// table writes the times of what stands in the rows, in each order and for the total.
func table(s *strings.Builder, rows []string, times func(row, order string) series) {
	columns := []string{}
	for _, o := range store.ActionOrders() {
		columns = append(columns, string(o))
	}
	columns = append(columns, "total")
	fmt.Fprintf(s, "| filter | %s |\n|%s\n", strings.Join(columns, " | "), strings.Repeat(" --- |", len(columns)+1))
	for _, row := range rows {
		fmt.Fprintf(s, "| %s |", row)
		for _, c := range columns {
			t := times(row, c)
			fmt.Fprintf(s, " %.0f / %.0f |", ms(t.at(50)), ms(t.at(95)))
		}
		s.WriteString("\n")
	}
}
