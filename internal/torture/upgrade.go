package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// upgrade is the fault by which some processes are of the release before.
const upgrade = "rolling upgrade"

// releaseBefore is the release that must work beside this one: the last that
// landed. Who lands one writes its commit here.
const releaseBefore = "a7761c7"

// olderPX builds px of the release before.
func olderPX(ctx context.Context, c *cluster, cfg config) error {
	if cfg.px != "" {
		return errors.New("it builds a px of its own, and -px is given")
	}
	git := exec.CommandContext(ctx, "git", "archive", "--format=tar", cfg.before)
	git.Dir = cfg.tree
	var files, errs bytes.Buffer
	git.Stdout, git.Stderr = &files, &errs
	if err := git.Run(); err != nil {
		return fmt.Errorf("this clone does not have the release before, %s: %w: %s", cfg.before, err, bytes.TrimSpace(errs.Bytes()))
	}
	tree := filepath.Join(c.dir, "before")
	if err := unpack(&files, tree); err != nil {
		return fmt.Errorf("unpack %s: %w", cfg.before, err)
	}
	bin := filepath.Join(c.dir, "bin-before")
	if err := os.Mkdir(bin, 0o700); err != nil {
		return err
	}
	var err error
	c.before, err = buildPX(ctx, tree, bin)
	return err
}

// unpack writes the files of an archive into a folder.
func unpack(archive io.Reader, dir string) error {
	for r := tar.NewReader(archive); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg || !filepath.IsLocal(h.Name) {
			continue // folders come with their files
		}
		path := filepath.Join(dir, h.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		content, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return err
		}
	}
}

// rollBack gives some of the processes to the release before, which ends each in
// order and starts it again, and after some seconds back.
func rollBack(ctx context.Context, c *cluster, r *rand.Rand) error {
	hit := make([]*process, 1+r.IntN(3))
	for i, n := range r.Perm(len(c.procs))[:len(hit)] {
		hit[i] = c.procs[n]
	}
	for _, px := range []string{c.before, c.px} {
		for _, p := range hit {
			if err := p.become(context.WithoutCancel(ctx), px); err != nil {
				return err
			}
		}
		sleep(ctx, time.Duration(3+r.IntN(4))*time.Second)
	}
	return nil
}

// become ends the process in order, and returns when another px has started in its place.
func (p *process) become(ctx context.Context, px string) error {
	before := p.log.starts()
	p.mu.Lock()
	p.path = px
	p.mu.Unlock()
	p.signal(syscall.SIGTERM)
	err := await(ctx, upWait, p.name, func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		switch {
		case p.cmd != nil && p.cmd.Path != px:
			return errors.New("it has not ended")
		case p.log.starts() == before:
			return errors.New("it has not started: " + p.log.tail())
		}
		return nil
	})
	if err != nil {
		return divergence{upgrade, "a process ends in order, and starts as the other release", err.Error()}
	}
	return nil
}
