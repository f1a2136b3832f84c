package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/pxactions/px/model"
)

// The scopes of API keys.
const (
	ScopeFeedbackWrite  = "feedback:write"
	ScopeFeedbackRead   = "feedback:read"
	ScopeActionsRead    = "actions:read"
	ScopeActionsWrite   = "actions:write"
	ScopeEventsRead     = "events:read"
	ScopeDirectoryWrite = "directory:write"
	ScopeOnBehalfOf     = "on-behalf-of" // to name the person who acts
)

// Scopes lists every scope.
func Scopes() []string {
	return []string{
		ScopeFeedbackWrite, ScopeFeedbackRead, ScopeActionsRead, ScopeActionsWrite, ScopeEventsRead, ScopeDirectoryWrite, ScopeOnBehalfOf,
	}
}

const (
	keyMark   = "px_"
	keyLength = 40 // letters and digits after the mark: about 238 bits
	// keyPrefix is how much of a key is kept readable, to tell keys apart.
	keyPrefix = 10
)

// base62 has no look-alikes to care for: keys are copied, not typed.
const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// newSecret makes a key of even chances: bytes past the last whole multiple of
// 62 are thrown away.
func newSecret() string {
	const whole = 256 - 256%len(base62)
	out := make([]byte, 0, keyLength)
	buf := make([]byte, 2*keyLength)
	for len(out) < keyLength {
		_, _ = rand.Read(buf) // never fails: the runtime ends the program instead
		for _, b := range buf {
			if int(b) < whole && len(out) < keyLength {
				out = append(out, base62[int(b)%len(base62)])
			}
		}
	}
	return keyMark + string(out)
}

// HashKey is what is kept of a key. A key is long and random, so a plain hash
// cannot be guessed back.
func HashKey(secret string) []byte {
	h := sha256.Sum256([]byte(secret))
	return h[:]
}

// CreateKey makes an API key from a row with Name, SourceSystem and Scopes, and
// as wished Hospitals, OnUnmapped, ExpiresAt and CreatedBy; it fills the rest.
// The secret it returns is kept nowhere: this is the only time it is seen.
// Wrong fields are model.FieldErrors.
func (s *Store) CreateKey(ctx context.Context, k *model.APIKey) (string, error) {
	if err := checkKey(k); err != nil {
		return "", err
	}
	secret := newSecret()
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
		if k.ExpiresAt != nil && !k.ExpiresAt.After(st.Now.Machine) {
			var fe model.FieldErrors
			fe.Add("key.expires_at", "range", "an instant that is not past")
			return fe
		}
		for _, h := range k.Hospitals.V {
			if st.Dir.Hospitals[h] == nil {
				var fe model.FieldErrors
				fe.Add("key.hospitals", "unmapped", "hospitals of the directory")
				return fe
			}
		}
		k.ID, k.Prefix, k.Hash, k.CreatedAt = model.NewID[model.APIKey](), secret[:keyPrefix], HashKey(secret), second(st.Now.Domain)
		k.RevokedAt, k.LastUsedAt = nil, nil
		_, err := tx.NewInsert().Model(k).Exec(ctx)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("create API key: %w", err)
	}
	return secret, nil
}

func checkKey(k *model.APIKey) error {
	var fe model.FieldErrors
	k.Name, k.SourceSystem = strings.TrimSpace(k.Name), strings.TrimSpace(k.SourceSystem)
	if k.Name == "" || len(k.Name) > 200 {
		fe.Add("key.name", "required", "1 to 200 characters that say who uses the key")
	}
	if k.SourceSystem == "" || k.SourceSystem == "*" || len(k.SourceSystem) > 100 {
		fe.Add("key.source_system", "required", "1 to 100 characters that name the sending system, not *")
	}
	if len(k.Scopes.V) == 0 {
		fe.Add("key.scopes", "required", "at least one of "+fmt.Sprint(Scopes()))
	}
	for _, sc := range k.Scopes.V {
		if !slices.Contains(Scopes(), sc) {
			fe.Add("key.scopes", "enum", "only "+fmt.Sprint(Scopes()))
		}
	}
	switch k.OnUnmapped {
	case "":
		k.OnUnmapped = model.UnmappedReject
	case model.UnmappedReject, model.UnmappedQuarantine:
	default:
		fe.Add("key.on_unmapped", "enum", "reject or quarantine")
	}
	if k.Hospitals.V == nil {
		k.Hospitals.V = []model.HospitalID{}
	}
	return fe.Err()
}

// KeyByHash returns the key with that hash, also when it is revoked or expired;
// model.ErrNotFound when there is none.
func (s *Store) KeyByHash(ctx context.Context, hash []byte) (*model.APIKey, error) {
	var k model.APIKey
	if err := mapErr(s.db.NewSelect().Model(&k).Where("hash = ?", hash).Scan(ctx)); err != nil {
		return nil, fmt.Errorf("load API key: %w", err)
	}
	return &k, nil
}

// ListKeys returns every key, oldest first, the revoked ones too.
func (s *Store) ListKeys(ctx context.Context) ([]model.APIKey, error) {
	var ks []model.APIKey
	if err := mapErr(s.db.NewSelect().Model(&ks).OrderExpr("id").Scan(ctx)); err != nil {
		return nil, fmt.Errorf("list API keys: %w", err)
	}
	return ks, nil
}

// RevokeKey ends the keys whose id or prefix is given and returns them; a key
// revoked before stays as it was. model.ErrNotFound when there is none, and a
// FieldErrors when a prefix fits several.
func (s *Store) RevokeKey(ctx context.Context, idOrPrefix string) (*model.APIKey, error) {
	var k model.APIKey
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
		if err := lockKey(ctx, tx, idOrPrefix, &k); err != nil {
			return err
		}
		if k.RevokedAt != nil {
			return nil
		}
		at := st.Now.Machine
		k.RevokedAt = &at
		_, err := tx.NewUpdate().Model(&k).Column("revoked_at").WherePK().Exec(ctx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("revoke API key: %w", err)
	}
	return &k, nil
}

// lockKey loads the one key whose id or prefix is given, for a change.
func lockKey(ctx context.Context, tx bun.Tx, idOrPrefix string, k *model.APIKey) error {
	var ks []model.APIKey
	q := tx.NewSelect().Model(&ks).For("UPDATE")
	if id, err := model.ParseID[model.APIKey](idOrPrefix); err == nil {
		q = q.Where("id = ?", id)
	} else {
		q = q.Where("prefix = ?", idOrPrefix)
	}
	if err := q.Scan(ctx); err != nil {
		return err
	}
	switch len(ks) {
	case 0:
		return model.ErrNotFound
	case 1:
		*k = ks[0]
		return nil
	default:
		return model.FieldErrors{{Field: "key", Code: "ambiguous", Want: "the key's id: several keys begin so"}}
	}
}

// RotateKey makes a successor of the key whose id or prefix is given: with the
// same name, source system, scopes and hospitals, and where the old one was to
// expire the same span of life. The old one works for overlap (machine time) yet.
// The successor's secret is kept nowhere. Errors: model.ErrNotFound, and
// model.FieldErrors for a prefix of several or a key that works no more.
func (s *Store) RotateKey(ctx context.Context, idOrPrefix string, overlap time.Duration) (old, successor model.APIKey, secret string, err error) {
	secret = newSecret()
	err = s.inTx(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
		if err := lockKey(ctx, tx, idOrPrefix, &old); err != nil {
			return err
		}
		now := st.Now.Machine
		if old.RevokedAt != nil || old.ExpiresAt != nil && !old.ExpiresAt.After(now) {
			return model.FieldErrors{{Field: "key", Code: "inactive", Want: "a key that is neither revoked nor expired"}}
		}
		successor = old
		successor.ID, successor.Prefix, successor.Hash = model.NewID[model.APIKey](), secret[:keyPrefix], HashKey(secret)
		successor.CreatedAt, successor.LastUsedAt = second(st.Now.Domain), nil
		ends := now.Add(overlap)
		if old.ExpiresAt != nil {
			until := now.Add(old.ExpiresAt.Sub(st.Now.Clock.Real(old.CreatedAt)))
			successor.ExpiresAt = &until
		}
		if old.ExpiresAt == nil || ends.Before(*old.ExpiresAt) {
			old.ExpiresAt = &ends
		}
		if _, err := tx.NewInsert().Model(&successor).Exec(ctx); err != nil {
			return err
		}
		_, err := tx.NewUpdate().Model(&old).Column("expires_at").WherePK().Exec(ctx)
		return err
	})
	if err != nil {
		return old, successor, "", fmt.Errorf("rotate API key: %w", err)
	}
	return old, successor, secret, nil
}

// TouchKey notes that a key is in use, at most once in every span of time,
// however often it is called.
func (s *Store) TouchKey(ctx context.Context, id model.KeyID, every time.Duration) error {
	_, err := s.db.NewUpdate().Model((*model.APIKey)(nil)).Set("last_used_at = clock_timestamp()").Where("id = ?", id).
		Where("last_used_at IS NULL OR last_used_at < clock_timestamp() - make_interval(secs => ?)", every.Seconds()).Exec(ctx)
	if err != nil {
		return mapErr(fmt.Errorf("note the use of API key %s: %w", id, err))
	}
	return nil
}
