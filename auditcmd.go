package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/store"
)

type auditCmd struct {
	Verify auditVerifyCmd `cmd:"" help:"Check that no row of any action's story was changed, removed or reordered; exit code 1 if any was."`
	Days   auditDaysCmd   `cmd:"" help:"List what each day of the log came to: keep a copy where nobody of this database can write."`
	Export auditExportCmd `cmd:"" help:"Write the stories of a range of days as NDJSON, each row with its hash and the one before."`
}

type auditVerifyCmd struct {
	Days string `placeholder:"FILE" help:"What px audit days wrote once, kept elsewhere: it must still hold."`
	JSON bool   `help:"One JSON object."`
}

// Run checks.
func (c auditVerifyCmd) Run(ctx context.Context, s *Settings) error {
	kept, err := readDays(c.Days)
	if err != nil {
		return err
	}
	return withStore(ctx, s, func(st *store.Store) error {
		e := engine.New(engine.Options{Store: st, Log: s.logger("audit")})
		defer e.Close()
		found, err := e.Audit(ctx, kept)
		if err != nil {
			return err
		}
		if c.JSON {
			err = json.NewEncoder(os.Stdout).Encode(found)
		} else {
			printAudit(found)
		}
		if err == nil && len(found.Faults) > 0 {
			return errFound
		}
		return err
	})
}

func printAudit(a engine.Audited) {
	for _, f := range a.Faults {
		if f.Seq > 0 {
			fmt.Printf("%s row %d: %s\n", f.Ref, f.Seq, f.What)
			continue
		}
		fmt.Printf("%s: %s\n", f.Ref, f.What)
	}
	fmt.Printf("%d actions and %d days checked, %d faults\n", a.Actions, a.Days, len(a.Faults))
}

type auditDaysCmd struct{}

// Run lists the sealed days.
func (auditDaysCmd) Run(ctx context.Context, s *Settings) error {
	return withStore(ctx, s, func(st *store.Store) error {
		days, err := st.AuditDays(ctx)
		for _, d := range days {
			fmt.Println(dayLine(d))
		}
		return err
	})
}

func dayLine(d store.AuditDay) string {
	return fmt.Sprintf("%s %d %s", d.Day.UTC().Format(time.DateOnly), d.Rows, hex.EncodeToString(d.Hash))
}

// readDays reads what px audit days wrote; an empty path is none.
func readDays(path string) ([]store.AuditDay, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path) //nolint:gosec // the user's own choice
	if err != nil {
		return nil, usagef("--days: %w", err)
	}
	defer func() { _ = f.Close() }()
	days, err := parseDays(f)
	if err != nil {
		return nil, usagef("--days: %s: %w", path, err)
	}
	return days, nil
}

func parseDays(r io.Reader) ([]store.AuditDay, error) {
	var days []store.AuditDay
	in := bufio.NewScanner(r)
	for n := 1; in.Scan(); n++ {
		var day, sum string
		var d store.AuditDay
		_, err := fmt.Sscanf(in.Text(), "%s %d %s", &day, &d.Rows, &sum)
		if err == nil {
			d.Day, err = time.Parse(time.DateOnly, day)
		}
		if err == nil {
			d.Hash, err = hex.DecodeString(sum)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d must be a date, a number of rows and a hash, as px audit days writes it", n)
		}
		days = append(days, d)
	}
	return days, in.Err()
}

type auditExportCmd struct {
	From string `required:"" placeholder:"DATE" help:"The first day, in UTC: 2026-03-01."`
	To   string `required:"" placeholder:"DATE" help:"The last day, included."`
}

// Run writes the rows in their order, then the days that are sealed.
func (c auditExportCmd) Run(ctx context.Context, s *Settings) error {
	from, err1 := time.Parse(time.DateOnly, c.From)
	to, err2 := time.Parse(time.DateOnly, c.To)
	if err := errors.Join(err1, err2); err != nil || to.Before(from) {
		return usagef("--from and --to: two dates such as 2026-03-01, the first not after the last")
	}
	return withStore(ctx, s, func(st *store.Store) error {
		out := bufio.NewWriter(os.Stdout)
		enc := json.NewEncoder(out)
		enc.SetEscapeHTML(false)
		err := st.ExportLog(ctx, from, to.AddDate(0, 0, 1), func(r store.LogExport) error { return enc.Encode(r) })
		if err != nil {
			return err
		}
		days, err := st.AuditDays(ctx)
		if err != nil {
			return err
		}
		for _, d := range days {
			if !d.Day.Before(from) && !d.Day.After(to) {
				if err := enc.Encode(map[string]any{"day": d.Day.UTC().Format(time.DateOnly), "rows": d.Rows, "hash": hex.EncodeToString(d.Hash)}); err != nil {
					return err
				}
			}
		}
		return out.Flush()
	})
}
