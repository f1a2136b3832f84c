package localenv

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAReplicaFollowsAndIsPromoted(t *testing.T) {
	t.Parallel()
	o := setup(t)
	o.Postgres = []string{"synchronous_commit=remote_apply"}
	env, err := StartPostgres(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = env.Close() })
	mustQuery(t, env.DatabaseURL, "CREATE TABLE before ()")
	replica, err := StartReplica(t.Context(), o, env.Postgres)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, replica.Close()) })
	mustQuery(t, replica.DatabaseURL, "SELECT FROM before")

	mustQuery(t, env.DatabaseURL, "ALTER SYSTEM SET synchronous_standby_names = '*'")
	mustQuery(t, env.DatabaseURL, "SELECT pg_reload_conf()")
	require.Eventually(t, func() bool {
		state, err := query(t, env.DatabaseURL, "SELECT coalesce(min(sync_state), '') FROM pg_stat_replication")
		return err == nil && state == "sync"
	}, stopWait, pollEvery)
	mustQuery(t, env.DatabaseURL, "CREATE TABLE after ()")
	mustQuery(t, replica.DatabaseURL, "SELECT FROM after")
	_, err = query(t, replica.DatabaseURL, "CREATE TABLE refused ()")
	require.ErrorContains(t, err, "25006")

	require.NoError(t, env.Postgres.Kill())
	require.NoError(t, replica.Postgres.Promote(t.Context()))
	mustQuery(t, replica.DatabaseURL, "CREATE TABLE taken ()")
	require.Error(t, replica.Postgres.Promote(t.Context()), "it is none any more")
	// A new replica, of the new primary: and so on.
	next, err := StartReplica(t.Context(), o, replica.Postgres)
	require.NoError(t, err)
	mustQuery(t, next.DatabaseURL, "SELECT FROM taken, after")
	require.NoError(t, next.Close())
}
