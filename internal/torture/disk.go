package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// diskFull is the fault by which PostgreSQL has no room for what it writes.
const diskFull = "pg disk full"

const (
	// diskSize is how much the servers' file system holds, in bytes; what is not used costs nothing.
	diskSize = 4 << 30
	// squeezeEvery is how often what PostgreSQL gives back is taken from it while its disk is full.
	squeezeEvery = 20 * time.Millisecond
)

// ownDisk gives the servers a file system of their own, in memory, which can be full.
func ownDisk(_ context.Context, c *cluster, _ config) error {
	dir, err := os.MkdirTemp("", "px-disk-")
	if err != nil {
		return err
	}
	if err := mountMemory(dir, diskSize); err != nil {
		return errors.Join(fmt.Errorf("no file system to fill can be mounted here: be root, or go by `unshare -m --map-current-user --keep-caps`: %w", err), os.Remove(dir))
	}
	c.disk = dir
	return nil
}

// serversDir is where the servers have their files; empty: where they want.
func (c *cluster) serversDir() string {
	if c.disk == "" {
		return ""
	}
	return filepath.Join(c.disk, "s")
}

// dropDisk gives the servers' file system back.
func (c *cluster) dropDisk() error {
	if c.disk == "" {
		return nil
	}
	return errors.Join(unmount(c.disk), os.Remove(c.disk))
}

// pgDiskFull leaves PostgreSQL no room for some seconds: tables cannot grow
// (53100), and every other time the journal neither, of which the whole server
// ends and does not come up again.
func pgDiskFull(ctx context.Context, c *cluster, r *rand.Rand) error {
	c.pg.Lock() // it may have to be started again
	defer c.pg.Unlock()
	release := c.squeeze()
	defer release()
	refused := c.grow(ctx)
	if r.IntN(2) == 0 {
		_, _ = c.store.DB().NewRaw("SELECT pg_switch_wal()").Exec(ctx)
	}
	sleep(ctx, time.Duration(2+r.IntN(3))*time.Second)
	release()
	ctx = context.WithoutCancel(ctx)
	return errors.Join(refused, await(ctx, upWait, "PostgreSQL is back", func() error {
		if err := c.servers.Postgres.Start(ctx); err != nil {
			return err
		}
		return c.store.Ping(ctx)
	}))
}

// squeeze makes the servers' file system as large as what is in it, until release.
func (c *cluster) squeeze() (release func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			_ = resize(c.disk, 0) // refused when something was written meanwhile
			if !sleep(ctx, squeezeEvery) {
				return
			}
		}
	})
	return sync.OnceFunc(func() {
		cancel()
		wg.Wait()
		_ = resize(c.disk, diskSize)
	})
}

// grow asks for room until there is none: a disk that is not full is none of this fault.
func (c *cluster) grow(ctx context.Context) error {
	return await(ctx, finishWait, "PostgreSQL says that its disk is full", func() error {
		_, err := c.store.DB().NewRaw("CREATE TABLE torture_grows AS SELECT repeat('x', 1000) FROM generate_series(1, 100)").Exec(ctx)
		var pe *pgconn.PgError
		if err == nil {
			_, err = c.store.DB().NewRaw("DROP TABLE torture_grows").Exec(ctx)
			return errors.Join(errors.New("it had room"), err)
		}
		if errors.As(err, &pe) && pe.Code != "53100" {
			return err
		}
		return nil // full, or gone
	})
}
