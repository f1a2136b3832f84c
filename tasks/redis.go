package tasks

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// RedisOptions tunes NewRedis. What the URL's own query says (pool_size,
// read_timeout, …) wins.
type RedisOptions struct {
	// PoolSize is how many connections are kept at most for single commands;
	// 0: 32. Scripts share pipelines and need a handful.
	PoolSize int
	// Timeout bounds one read or write; 0: 5 s. It must stay well below
	// asynq's lease of 30 s.
	Timeout time.Duration
	// NoPipelining sends every script on its own, for comparison.
	NoPipelining bool
}

const (
	defaultPoolSize     = 32
	defaultRedisTimeout = 5 * time.Second
	dialTimeout         = 2 * time.Second
	// maxRedisRetries is small: a script sent again may find its work done
	// (an id conflict, an active task without worker), and the rows heal.
	maxRedisRetries = 2
)

// NewRedis prepares the client that asynq's clients and servers share: commands
// honour their context's deadline, retries and timeouts are bounded, and
// concurrent scripts share round trips. It does not connect. Close ends it. The
// URL is of one server (redis, rediss, unix), of Sentinels (redis+sentinel) or
// of a cluster (redis+cluster); an error says what is wrong with it.
func NewRedis(url string, o RedisOptions) (redis.UniversalClient, error) {
	u, err := parseRedisURL(url)
	if err != nil {
		return nil, err
	}
	if err := u.loadTLS(); err != nil {
		return nil, err
	}
	set(u.opt, o.withDefaults())
	return u.client(!o.NoPipelining), nil
}

// set fills in what the URL leaves open.
func set(opt *redis.Options, o RedisOptions) {
	opt.ContextTimeoutEnabled = true
	opt.DisableIdentity = true
	// Upgrade notices are a paid service's feature; asking for them costs a
	// command that a strict ACL refuses.
	opt.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	opt.DialerRetries = 1 // the command's own retries are enough
	setIfZero(&opt.PoolSize, o.PoolSize)
	setIfZero(&opt.MaxRetries, maxRedisRetries)
	setIfZero(&opt.MinRetryBackoff, 10*time.Millisecond)
	setIfZero(&opt.MaxRetryBackoff, 250*time.Millisecond)
	setIfZero(&opt.DialTimeout, dialTimeout)
	setIfZero(&opt.ReadTimeout, o.Timeout)
	setIfZero(&opt.WriteTimeout, o.Timeout)
	setIfZero(&opt.PoolTimeout, o.Timeout)
}

func (o RedisOptions) withDefaults() RedisOptions {
	setIfZero(&o.PoolSize, defaultPoolSize)
	setIfZero(&o.Timeout, defaultRedisTimeout)
	return o
}

func setIfZero[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Renewing wraps the client that asynq's servers get. asynq hands its syncer a
// function that acknowledges a task after a fault of Redis, together with a
// context that it has just cancelled (v0.25 and v0.26), so that no such
// acknowledgement ever succeeds and the task runs twice. A context that is
// cancelled but has a deadline still to come is therefore replaced by a fresh
// one with the same deadline.
func Renewing(c redis.UniversalClient) redis.UniversalClient { return renewing{UniversalClient: c} }

type renewing struct{ redis.UniversalClient }

func (r renewing) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	ctx, cancel := renew(ctx)
	defer cancel()
	return r.UniversalClient.Eval(ctx, script, keys, args...)
}

func (r renewing) EvalSha(ctx context.Context, sha1 string, keys []string, args ...any) *redis.Cmd {
	ctx, cancel := renew(ctx)
	defer cancel()
	return r.UniversalClient.EvalSha(ctx, sha1, keys, args...)
}

// renew returns ctx unless it is cancelled with a deadline still to come. A
// context whose deadline has passed stays as it is: its lease has run out, and
// the task belongs to somebody else.
func renew(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok || !errors.Is(ctx.Err(), context.Canceled) {
		return ctx, func() {}
	}
	// A passed deadline makes the new context end at once.
	return context.WithDeadline(context.WithoutCancel(ctx), deadline)
}
