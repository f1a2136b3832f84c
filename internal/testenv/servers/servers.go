// Package servers finds the PostgreSQL and the Redis that tests run on: those
// that the environment names, else private ones. It never looks for a server
// that happens to run on this machine: tests create and drop databases.
package servers

import (
	"context"
	"os"

	"github.com/rs/zerolog"

	"github.com/pxactions/px/internal/localenv"
)

// Environment variables that name servers. The PostgreSQL role needs CREATEDB;
// the Redis is for tests alone, which empty its databases.
const (
	DatabaseVar = "TEST_DATABASE_URL"
	RedisVar    = "TEST_REDIS_URL"
)

// Servers are the two servers; neither URL is empty.
type Servers struct {
	DatabaseURL string
	RedisURL    string
	own         *localenv.Env // nil when both were named
}

// FromEnv returns the servers that the environment names and starts those that
// it does not name. ctx bounds the start only.
func FromEnv(ctx context.Context, log zerolog.Logger) (*Servers, error) {
	s := &Servers{DatabaseURL: os.Getenv(DatabaseVar), RedisURL: os.Getenv(RedisVar)}
	o := localenv.Options{Log: log}
	var err error
	switch {
	case s.DatabaseURL == "" && s.RedisURL == "":
		s.own, err = localenv.Start(ctx, o)
	case s.DatabaseURL == "":
		s.own, err = localenv.StartPostgres(ctx, o)
	case s.RedisURL == "":
		s.own, err = localenv.StartRedis(ctx, o)
	}
	if err != nil {
		return nil, err
	}
	if s.DatabaseURL == "" {
		s.DatabaseURL = s.own.DatabaseURL
	}
	if s.RedisURL == "" {
		s.RedisURL = s.own.RedisURL
	}
	return s, nil
}

// Close ends the servers that FromEnv started.
func (s *Servers) Close() error {
	if s.own == nil {
		return nil
	}
	return s.own.Close()
}
