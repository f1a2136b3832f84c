package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"

	"github.com/pxactions/px/internal/password"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
)

type userCmd struct {
	Password userPasswordCmd `cmd:"" help:"Set a person's password; their sessions end."`
	Sessions userSessionsCmd `cmd:"" help:"List a person's sessions, or end them."`
}

type userPasswordCmd struct {
	Code  string `arg:"" help:"Code of the user."`
	Stdin bool   `help:"Read the password from the first line of standard input instead of asking for it twice."`
}

// Run sets the password.
func (c userPasswordCmd) Run(ctx context.Context, s *Settings) error {
	return withStore(ctx, s, func(st *store.Store) error {
		u, err := person(ctx, st, c.Code)
		if err != nil {
			return err
		}
		if !u.Active {
			return usagef("%s is not active", c.Code)
		}
		secret, err := c.read(ctx)
		if err != nil {
			return err
		}
		if err := password.Check(secret, u); err != nil {
			return usagef("%w", err)
		}
		hash, err := password.New(password.Recommended(), 1).Hash(ctx, secret)
		if err != nil {
			return err
		}
		if err := st.SetPassword(ctx, u.ID, hash); err != nil {
			return err
		}
		fmt.Printf("the password of %s is set; sessions, if there were any, have ended\n", u.Code)
		return nil
	})
}

// read reads the password: nobody sees it on a terminal.
func (c userPasswordCmd) read(ctx context.Context) (string, error) {
	if c.Stdin {
		return firstLine(os.Stdin)
	}
	terminal := int(os.Stdin.Fd()) //nolint:gosec // a file's number is small
	if !term.IsTerminal(terminal) {
		return "", usagef("standard input is no terminal: say --stdin to read the password from it")
	}
	var typed [2]string
	for i, prompt := range []string{"New password: ", "Once more: "} {
		var err error
		if typed[i], err = ask(ctx, terminal, prompt); err != nil {
			return "", fmt.Errorf("read standard input: %w", err)
		}
	}
	if typed[0] != typed[1] {
		return "", usagef("the two passwords differ; nothing was changed")
	}
	return typed[0], nil
}

// ask reads a line without echo. Told to stop, it gives the terminal its echo
// back.
func ask(ctx context.Context, terminal int, prompt string) (string, error) {
	before, err := term.GetState(terminal)
	if err != nil {
		return "", err
	}
	defer fmt.Fprintln(os.Stderr)
	fmt.Fprint(os.Stderr, prompt)
	type answer struct {
		line []byte
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		line, err := term.ReadPassword(terminal)
		got <- answer{line, err}
	}()
	select {
	case a := <-got:
		return string(a.line), a.err
	case <-ctx.Done():
		return "", errors.Join(ctx.Err(), term.Restore(terminal, before))
	}
}

func firstLine(r io.Reader) (string, error) {
	const most = 4096 // bytes: more than any password has
	line, err := bufio.NewReader(io.LimitReader(r, most)).ReadBytes('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read standard input: %w", err)
	}
	return string(bytes.TrimRight(line, "\r\n")), nil
}

type userSessionsCmd struct {
	Code string `arg:"" help:"Code of the user."`
	End  bool   `help:"End them all."`
}

// Run lists or ends the sessions.
func (c userSessionsCmd) Run(ctx context.Context, s *Settings) error {
	return withStore(ctx, s, func(st *store.Store) error {
		u, err := person(ctx, st, c.Code)
		if err != nil {
			return err
		}
		if c.End {
			n, err := st.EndSessions(ctx, u.ID)
			if err == nil {
				fmt.Printf("ended %d sessions of %s\n", n, u.Code)
			}
			return err
		}
		all, err := st.Sessions(ctx, u.ID)
		for _, se := range all {
			fmt.Printf("since %s, last seen %s, until %s\n", stamp(se.CreatedAt), stamp(se.LastSeenAt), stamp(se.ExpiresAt))
		}
		if err == nil && len(all) == 0 {
			fmt.Printf("%s has no session\n", u.Code)
		}
		return err
	})
}

func person(ctx context.Context, st *store.Store, code string) (*model.User, error) {
	dir, err := st.Directory(ctx)
	if err != nil {
		return nil, err
	}
	u, ok := dir.ResolveUser("", code)
	if !ok {
		return nil, usagef("no user has the code %q", code)
	}
	return u, nil
}
