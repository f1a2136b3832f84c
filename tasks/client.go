package tasks

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// client is go-redis's client with the pipeliners that it owns: one for each
// server, so that a server that hangs holds up only what it is to answer.
type client struct {
	redis.UniversalClient
	url redisURL

	mu         sync.Mutex
	pipeliners []*pipeliner // none: no pipelining
}

// client makes the client of the URL, whose options are complete.
func (u redisURL) client(pipelining bool) *client {
	c := &client{url: u}
	pipeline := func(rdb *redis.Client) {
		if pipelining {
			c.pipeline(rdb)
		}
	}
	switch u.kind {
	case cluster:
		o := u.universal().Cluster()
		// The policies only spread what has no key, at the cost of a command that
		// a strict ACL refuses; such commands go to every master from here.
		o.DisableRoutingPolicies = true
		rdb := redis.NewClusterClient(o)
		rdb.OnNewNode(pipeline)
		c.UniversalClient = rdb
	case sentinel:
		rdb := redis.NewFailoverClient(u.universal().Failover())
		pipeline(rdb)
		c.UniversalClient = rdb
	default:
		rdb := redis.NewClient(u.opt)
		pipeline(rdb)
		c.UniversalClient = rdb
	}
	return c
}

// universal is the options in the form that Sentinel and cluster are made of. A
// cluster's retries are its redirections: go-redis's own number of them counts.
func (u redisURL) universal() *redis.UniversalOptions {
	o := u.opt
	all := &redis.UniversalOptions{
		Addrs: u.addrs, MasterName: u.master, SentinelUsername: u.sentinelUsername, SentinelPassword: u.sentinelPassword,
		ClientName: o.ClientName, DB: o.DB, Protocol: o.Protocol, Username: o.Username, Password: o.Password,
		MinRetryBackoff: o.MinRetryBackoff, MaxRetryBackoff: o.MaxRetryBackoff,
		DialTimeout: o.DialTimeout, DialerRetries: o.DialerRetries, ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout,
		ContextTimeoutEnabled: o.ContextTimeoutEnabled, PoolFIFO: o.PoolFIFO, PoolSize: o.PoolSize, PoolTimeout: o.PoolTimeout,
		PipelineReadBufferSize: o.PipelineReadBufferSize, PipelineWriteBufferSize: o.PipelineWriteBufferSize, PipelinePoolSize: o.PipelinePoolSize,
		MaxConcurrentDials: o.MaxConcurrentDials, MinIdleConns: o.MinIdleConns, MaxIdleConns: o.MaxIdleConns, MaxActiveConns: o.MaxActiveConns,
		ConnMaxIdleTime: o.ConnMaxIdleTime, ConnMaxLifetime: o.ConnMaxLifetime, ConnMaxLifetimeJitter: o.ConnMaxLifetimeJitter,
		TLSConfig: o.TLSConfig, DisableIdentity: o.DisableIdentity, MaintNotificationsConfig: o.MaintNotificationsConfig,
	}
	if u.kind != cluster {
		all.MaxRetries = o.MaxRetries
	}
	return all
}

// pipeline makes concurrent scripts for one server share round trips. Every
// attempt at them may take a dial, a write and a read.
func (c *client) pipeline(rdb *redis.Client) {
	o := rdb.Options()
	p := newPipeliner(rdb, time.Duration(o.MaxRetries+1)*(o.DialTimeout+o.WriteTimeout+o.ReadTimeout))
	rdb.AddHook(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pipeliners = append(c.pipeliners, p)
}

// Close fails what is under way and waits for its goroutines.
func (c *client) Close() error {
	err := c.UniversalClient.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.pipeliners {
		p.close()
	}
	if err != nil {
		return fmt.Errorf("close the Redis client: %w", err)
	}
	return nil
}

// Ping asks every master of a cluster: each holds some of the queues.
func (c *client) Ping(ctx context.Context) *redis.StatusCmd {
	cmd := redis.NewStatusCmd(ctx, "ping")
	cmd.SetVal("PONG")
	cmd.SetErr(c.eachMaster(ctx, func(ctx context.Context, master redis.UniversalClient) error { return master.Ping(ctx).Err() }))
	return cmd
}

// eachMaster calls do for every master, of which only a cluster has several, and
// those at the same time.
func (c *client) eachMaster(ctx context.Context, do func(context.Context, redis.UniversalClient) error) error {
	rdb, ok := c.UniversalClient.(*redis.ClusterClient)
	if !ok {
		return do(ctx, c.UniversalClient)
	}
	return rdb.ForEachMaster(ctx, func(ctx context.Context, master *redis.Client) error { return do(ctx, master) })
}

// Clustered reports whether a client of NewRedis is one of a cluster.
func Clustered(rdb redis.UniversalClient) bool {
	c, ok := rdb.(*client)
	return ok && c.url.kind == cluster
}

// Address says where a client of NewRedis finds Redis, for people to read.
func Address(rdb redis.UniversalClient) string {
	c, ok := rdb.(*client)
	if !ok {
		return ""
	}
	switch at := strings.Join(c.url.addrs, ","); c.url.kind {
	case sentinel:
		return c.url.master + " of Sentinel at " + at
	case cluster:
		return at
	}
	return c.url.opt.Addr
}
