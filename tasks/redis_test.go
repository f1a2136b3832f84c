package tasks

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/pxactions/px/internal/testenv"
)

func TestNewRedisReadsURLs(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, url string
		ok, tls   bool
	}{
		{"plain", "redis://localhost:6379/3", true, false},
		{"with TLS", "rediss://user:pw@redis.example.org:6380/0", true, true},
		{"a socket", "unix:///run/redis.sock?db=2", true, false},
		{"another scheme is refused", "http://user:s3cret@localhost", false, false},
		{"an unknown option is refused", "redis://:s3cret@localhost?colour=red", false, false},
		{"a broken URL is refused", "redis://:s3cret@loc al:%zz", false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rdb, err := NewRedis(tt.url, RedisOptions{})
			if (err == nil) != tt.ok {
				t.Fatalf("NewRedis = %v, want ok: %t", err, tt.ok)
			}
			if err != nil {
				if strings.Contains(err.Error(), "s3cret") {
					t.Errorf("the error tells the password: %v", err)
				}
				return
			}
			defer func() { _ = rdb.Close() }()
			opt := rdb.(*client).url.opt
			if (opt.TLSConfig != nil) != tt.tls {
				t.Errorf("TLS %v, want %t", opt.TLSConfig, tt.tls)
			}
			if !opt.ContextTimeoutEnabled || opt.PoolSize != defaultPoolSize || opt.MaxRetries != maxRedisRetries {
				t.Errorf("options %+v", opt)
			}
		})
	}
}

func TestURLWinsOverOptions(t *testing.T) {
	t.Parallel()
	rdb := dial(t, "redis://localhost:1/0?pool_size=7&read_timeout=1s", RedisOptions{PoolSize: 9, Timeout: time.Minute})
	if opt := rdb.(*client).url.opt; opt.PoolSize != 7 || opt.ReadTimeout != time.Second || opt.WriteTimeout != time.Minute {
		t.Errorf("pool %d, read %s, write %s", opt.PoolSize, opt.ReadTimeout, opt.WriteTimeout)
	}
}

func TestRenewing(t *testing.T) {
	t.Parallel()
	url := testenv.RedisURL(t)
	echo := redis.NewScript(`return ARGV[1]`)
	cancelled := func(d time.Duration) context.Context {
		ctx, cancel := context.WithDeadline(context.Background(), time.Now().Add(d))
		cancel()
		return ctx
	}
	forever, cancel := context.WithCancel(context.Background())
	cancel()
	passed, cancel := context.WithDeadline(context.Background(), time.Now().Add(-time.Second))
	defer cancel()
	tests := []struct {
		name            string
		ctx             context.Context
		plain, renewing bool // whether the script runs
	}{
		{"a live context passes", context.Background(), true, true},
		{"cancelled before its deadline is renewed", cancelled(time.Minute), false, true},
		{"cancelled without deadline ends", forever, false, false},
		{"a passed deadline ends", passed, false, false},
	}
	for _, o := range []RedisOptions{{}, {NoPipelining: true}} {
		rdb := dial(t, url, o)
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				for _, c := range []struct {
					rdb  redis.UniversalClient
					runs bool
				}{{rdb, tt.plain}, {Renewing(rdb), tt.renewing}} {
					got, err := echo.Run(tt.ctx, c.rdb, nil, "ack").Result()
					if (err == nil && got == "ack") != c.runs {
						t.Errorf("%T: %v, %v, want it run: %t", c.rdb, got, err, c.runs)
					}
				}
			})
		}
	}
}
