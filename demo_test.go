package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/internal/testenv"
	"github.com/pxactions/px/store"
)

func TestDemoTakesOnlyAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, has string }{
		{"a place", `INSERT INTO hospitals (id, code, name, zone, created_at, updated_at) VALUES (gen_random_uuid(), 'RUH', 'Riyadh', 'UTC', now(), now())`},
		{"a person", `INSERT INTO users (id, code, name, created_at, updated_at) VALUES (gen_random_uuid(), 'amal', 'Amal', now(), now())`},
		{"a survey", `INSERT INTO surveys (id, code, name, created_at, updated_at) VALUES (gen_random_uuid(), 'NPS', 'NPS', now(), now())`},
		{"a key", `INSERT INTO api_keys (id, name, prefix, hash, source_system, created_at) VALUES (gen_random_uuid(), 'x', 'x', '', 'x', now())`},
		{"feedback", `INSERT INTO feedback (id, source_system, event_id, content_hash, received_at, decision, decided_at, heal_after, created_at)
			VALUES (gen_random_uuid(), 'x', '1', '', now(), 'quarantined', now(), now(), now())`},
		{"a policy", `INSERT INTO policy_revisions (document, sha256, created_by, created_at) VALUES ('{}', '', 'x', now())`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			url := testenv.DatabaseURL(t)
			st, err := store.Open(url, store.Options{PoolSize: 2})
			require.NoError(t, err)
			t.Cleanup(func() { _ = st.Close() })
			_, err = st.DB().ExecContext(t.Context(), tt.has)
			require.NoError(t, err)
			_, err = demoCmd{For: time.Minute}.prepare(t.Context(), settingsFrom(t, "--database-url="+url))
			var usage *usageError
			require.ErrorAs(t, err, &usage)
			assert.ErrorContains(t, err, "only an empty one")
		})
	}
}

func TestDemoTakesAnEmptyDatabaseOnce(t *testing.T) {
	t.Parallel()
	s := settingsFrom(t, "--database-url="+testenv.DatabaseURL(t))
	keys, err := demoCmd{For: time.Minute}.prepare(t.Context(), s)
	require.NoError(t, err)
	assert.NotEmpty(t, keys)
	_, err = demoCmd{For: time.Minute}.prepare(t.Context(), s)
	require.ErrorContains(t, err, "only an empty one", "what a demo left behind")
}
