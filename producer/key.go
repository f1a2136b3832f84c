package producer

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
)

const (
	// touchEvery is how often the use of a key is noted.
	touchEvery = time.Minute
	// maxKeys bounds the memory that made-up keys can take.
	maxKeys = 10_000
)

// keyring remembers API keys for a moment, so that a request costs no query of
// its own and a revoked key stops within that moment. Its times are machine
// time.
type keyring struct {
	store *store.Store
	ttl   time.Duration
	log   zerolog.Logger

	mu   sync.Mutex
	keys map[[sha256.Size]byte]remembered
}

// remembered is a key as last read; nil: there is none.
type remembered struct {
	key   *model.APIKey
	until time.Time
}

func newKeyring(s *store.Store, ttl time.Duration, log zerolog.Logger) *keyring {
	return &keyring{store: s, ttl: ttl, log: log, keys: map[[sha256.Size]byte]remembered{}}
}

// secretOf reads the key of a request: Authorization: Bearer, else X-API-Key.
func secretOf(r *http.Request) string {
	if scheme, rest, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(rest)
	}
	return strings.TrimSpace(r.Header.Get("X-API-Key"))
}

// allow returns the key of a request that may do what scope says, or why not.
// The database has wait to answer.
func (k *keyring) allow(r *http.Request, scope string, wait time.Duration) (*model.APIKey, *Problem) {
	unauthorized := func(code, title string) *Problem { return newProblem(http.StatusUnauthorized, code, title, "") }
	secret := secretOf(r)
	if secret == "" {
		return nil, unauthorized(codeKeyMissing, "An API key is needed, as Authorization: Bearer or X-API-Key")
	}
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	key, err := k.find(ctx, secret)
	if err != nil {
		return nil, problemOf(err)
	}
	now := time.Now()
	switch {
	case key == nil:
		return nil, unauthorized(codeKeyUnknown, "This API key is not known")
	case key.RevokedAt != nil:
		return nil, unauthorized(codeKeyRevoked, "This API key was revoked")
	case key.ExpiresAt != nil && !now.Before(*key.ExpiresAt):
		return nil, unauthorized(codeKeyExpired, "This API key has expired")
	case !slices.Contains(key.Scopes.V, scope):
		return nil, newProblem(http.StatusForbidden, codeScope, "This API key may not do that", "it needs the scope "+scope)
	}
	return key, nil
}

// find returns the key, nil when there is none, from memory or the database.
func (k *keyring) find(ctx context.Context, secret string) (*model.APIKey, error) {
	hash := [sha256.Size]byte(store.HashKey(secret))
	k.mu.Lock()
	r, ok := k.keys[hash]
	k.mu.Unlock()
	now := time.Now()
	if ok && now.Before(r.until) {
		return r.key, nil
	}
	key, err := k.store.KeyByHash(ctx, hash[:])
	if err != nil && !errors.Is(err, model.ErrNotFound) {
		return nil, err
	}
	if key != nil && key.RevokedAt == nil && (key.LastUsedAt == nil || now.Sub(*key.LastUsedAt) > touchEvery) {
		if err := k.store.TouchKey(ctx, key.ID, touchEvery); err != nil {
			k.log.Debug().Err(err).Msg("use of API key not noted")
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.keys) >= maxKeys {
		clear(k.keys)
	}
	k.keys[hash] = remembered{key: key, until: now.Add(k.ttl)}
	return key, nil
}

// source is what a key lets its sender do.
func source(k *model.APIKey) engine.Source {
	return engine.Source{System: k.SourceSystem, Hospitals: k.Hospitals.V, Quarantine: k.OnUnmapped == model.UnmappedQuarantine}
}
