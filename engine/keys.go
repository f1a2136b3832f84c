package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
)

const (
	// DefaultKeyTTL is how long a key is remembered where nothing else is said.
	DefaultKeyTTL = 3 * time.Second
	// touchEvery is how often the use of a key is noted.
	touchEvery = time.Minute
	// maxKeys bounds the memory that made-up keys can take.
	maxKeys = 10_000
)

// Keyring remembers API keys for a moment, so that a request costs no query of
// its own and a revoked key stops within that moment. Its times are machine
// time. It is safe for concurrent use.
type Keyring struct {
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

// NewKeyring makes a keyring that remembers for ttl; 0: DefaultKeyTTL.
func NewKeyring(s *store.Store, ttl time.Duration, log zerolog.Logger) *Keyring {
	if ttl == 0 {
		ttl = DefaultKeyTTL
	}
	return &Keyring{store: s, ttl: ttl, log: log, keys: map[[sha256.Size]byte]remembered{}}
}

// Allow returns the key of a secret that may do what scope says. The database
// has wait to answer. Errors: *model.KeyError, model.ErrUnavailable.
func (k *Keyring) Allow(ctx context.Context, secret, scope string, wait time.Duration) (*model.APIKey, error) {
	if secret == "" {
		return nil, &model.KeyError{Why: model.KeyMissing}
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	key, err := k.find(ctx, secret)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	switch {
	case key == nil:
		return nil, &model.KeyError{Why: model.KeyUnknown}
	case key.RevokedAt != nil:
		return nil, &model.KeyError{Why: model.KeyRevoked}
	case key.ExpiresAt != nil && !now.Before(*key.ExpiresAt):
		return nil, &model.KeyError{Why: model.KeyExpired}
	case !key.Allows(scope):
		return nil, &model.KeyError{Why: model.KeyScope, Scope: scope}
	}
	return key, nil
}

// find returns the key, nil when there is none, from memory or the database.
func (k *Keyring) find(ctx context.Context, secret string) (*model.APIKey, error) {
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
		return nil, fmt.Errorf("look up an API key: %w", err)
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
