package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"

	"github.com/pxactions/px/migrations"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

// withStore runs fn with the database open.
func withStore(ctx context.Context, s *Settings, fn func(*store.Store) error) (err error) {
	st, err := openStore(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	return fn(st)
}

type migrateCmd struct {
	Up     migrateUpCmd     `cmd:"" help:"Apply what has not been applied."`
	Down   migrateDownCmd   `cmd:"" help:"Take back the last group of migrations. For development: it drops data."`
	Status migrateStatusCmd `cmd:"" help:"Say what has not been applied; exit code 1 if anything."`
}

type migrateUpCmd struct{}

// Run applies the migrations.
func (migrateUpCmd) Run(ctx context.Context, s *Settings) error {
	return withStore(ctx, s, func(st *store.Store) error {
		applied, err := migrations.Up(ctx, st.DB())
		for _, name := range applied {
			fmt.Println("applied", name)
		}
		if err == nil && len(applied) == 0 {
			fmt.Println("nothing to apply: the schema is up to date")
		}
		return err
	})
}

type migrateDownCmd struct {
	Yes bool `help:"Do it: this drops data."`
}

// Run takes the last group back.
func (c migrateDownCmd) Run(ctx context.Context, s *Settings) error {
	if !c.Yes {
		return usagef("px migrate down drops data; say --yes")
	}
	return withStore(ctx, s, func(st *store.Store) error { return migrations.Down(ctx, st.DB()) })
}

type migrateStatusCmd struct{}

// Run lists pending migrations.
func (migrateStatusCmd) Run(ctx context.Context, s *Settings) error {
	return withStore(ctx, s, func(st *store.Store) error {
		pending, err := migrations.Pending(ctx, st.DB())
		if err != nil {
			return err
		}
		for _, name := range pending {
			fmt.Println("pending", name)
		}
		if len(pending) > 0 {
			return errFound
		}
		fmt.Println("the schema is up to date")
		return nil
	})
}

type directoryCmd struct {
	Apply directoryApplyCmd `cmd:"" help:"Set the people and places that a file names; others stay as they are."`
}

type directoryApplyCmd struct {
	File string `short:"f" required:"" placeholder:"FILE" help:"The directory; - reads standard input."`
}

// Run applies the file.
func (c directoryApplyCmd) Run(ctx context.Context, s *Settings) error {
	src, err := readFile(c.File)
	if err != nil {
		return err
	}
	d, err := sla.ParseDirectory(src)
	if err != nil {
		return faultsIn(c.File, err)
	}
	return withStore(ctx, s, func(st *store.Store) error {
		rows, err := st.ApplyDirectory(ctx, d)
		if err != nil {
			return faultsIn(c.File, sla.Locate([]sla.File{{Text: src}}, err))
		}
		fmt.Printf("set %d hospitals, %d departments, %d users, %d surveys\n",
			len(rows.Hospitals), len(rows.Departments), len(rows.Users), len(rows.Surveys))
		return nil
	})
}

func readFile(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(os.Stdin)
	}
	src, err := os.ReadFile(name)
	if err != nil {
		return nil, usagef("%w", err)
	}
	return src, nil
}

// whoApplies is the name for the record.
func whoApplies(given string) string {
	if given != "" {
		return given
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "unknown"
}
