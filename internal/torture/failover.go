package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"path/filepath"
	"time"

	"github.com/pxactions/px/internal/localenv"
)

// postgresSettings are those of every PostgreSQL of a run. What was committed must
// outlive a crash of the server; and when it was, by PostgreSQL's own word, tells
// what came too early.
func (c *cluster) postgresSettings() localenv.Options {
	return localenv.Options{Postgres: []string{"synchronous_commit=on", "track_commit_timestamp=on"}, TempDir: c.serversDir()}
}

// pgSocket is where the PostgreSQL of that URL listens.
func pgSocket(databaseURL string) (string, error) {
	u, err := url.Parse(databaseURL)
	if err != nil {
		return "", err
	}
	return filepath.Join(u.Query().Get("host"), ".s.PGSQL.5432"), nil
}

// pgFailover kills the primary and moves its address to a replica that commits
// waited for: nothing that was answered is lost. The replica is the primary from
// then on, and the next failover makes another of it.
func pgFailover(ctx context.Context, c *cluster, r *rand.Rand) error {
	c.pg.Lock() // a restart in the midst of it would leave two primaries
	defer c.pg.Unlock()
	replica, err := localenv.StartReplica(ctx, c.postgresSettings(), c.servers.Postgres)
	if err != nil {
		return err
	}
	if err := c.failOver(ctx, replica, time.Duration(500+r.IntN(2500))*time.Millisecond); err != nil {
		return errors.Join(err, replica.Close())
	}
	old := &localenv.Env{Postgres: c.servers.Postgres}
	c.servers.Postgres = replica.Postgres
	return old.Close()
}

// failOver makes commits wait for the replica for a while, kills the primary and
// promotes. After an error the primary is as it was, or there is none.
func (c *cluster) failOver(ctx context.Context, replica *localenv.Env, while time.Duration) error {
	socket, err := pgSocket(replica.DatabaseURL)
	if err != nil {
		return err
	}
	// The setting came after the replica, which is to wait for none when it is the primary.
	if err := c.waitForReplica(ctx, "SET synchronous_standby_names = '*'"); err != nil {
		return errors.Join(err, c.waitForReplica(context.WithoutCancel(ctx), "RESET synchronous_standby_names"))
	}
	whole := context.WithoutCancel(ctx)
	if err := c.inStep(ctx); err != nil {
		return errors.Join(err, c.waitForReplica(whole, "RESET synchronous_standby_names"))
	}
	sleep(ctx, while)
	if err := c.servers.Postgres.Kill(); err != nil {
		return err
	}
	if err := replica.Postgres.Promote(whole); err != nil {
		return err
	}
	c.pgProxy.move(socket)
	return nil
}

// waitForReplica changes which standbys commits wait for.
func (c *cluster) waitForReplica(ctx context.Context, change string) error {
	return await(ctx, finishWait, "ALTER SYSTEM "+change, func() error {
		for _, query := range []string{"ALTER SYSTEM " + change, "SELECT pg_reload_conf()"} {
			if _, err := c.store.DB().NewRaw(query).Exec(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

// inStep returns when the replica has all that was committed before commits
// waited for it.
func (c *cluster) inStep(ctx context.Context) error {
	var end string
	return await(ctx, finishWait, "the replica is in step", func() error {
		if end == "" {
			if err := c.store.DB().NewRaw("SELECT pg_current_wal_lsn()::text").Scan(ctx, &end); err != nil {
				return err
			}
		}
		var is bool
		err := c.store.DB().NewRaw("SELECT coalesce(bool_or(sync_state = 'sync' AND flush_lsn >= ?), false) FROM pg_stat_replication", end).Scan(ctx, &is)
		if err == nil && !is {
			err = fmt.Errorf("it is behind %s", end)
		}
		return err
	})
}
