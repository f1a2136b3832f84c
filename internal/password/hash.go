// Package password hashes passwords with Argon2id, and says which are good
// enough to be one.
package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"
)

// Params is how dear a run of Argon2id is. They stand in each hash, so that they
// may be raised: what was hashed before stays readable.
type Params struct {
	Memory uint32 // KiB
	Passes uint32
	Lanes  uint8
}

// Recommended is what OWASP asks for at least: 19 MiB, two passes, one lane.
func Recommended() Params { return Params{Memory: 19 * 1024, Passes: 2, Lanes: 1} }

const (
	saltLength = 16 // bytes
	keyLength  = 32 // bytes
	// most bounds the parameters that are read from a hash: nothing of ours is
	// near, and a damaged row shall not eat the machine.
	mostMemory, mostPasses, mostLanes = 1 << 20, 32, 16
)

// Hasher hashes and checks passwords, a few at a time: each run takes as much
// memory as its parameters say. It may be used concurrently.
type Hasher struct {
	params Params
	slots  chan struct{}
	runs   atomic.Int64
}

// New makes a hasher that does at most so many runs at the same time, one at
// least.
func New(p Params, atOnce int) *Hasher {
	return &Hasher{params: p, slots: make(chan struct{}, max(1, atOnce))}
}

// Runs is how often Argon2id has run: the time that an answer took, for tests.
func (h *Hasher) Runs() int64 { return h.runs.Load() }

// Hash makes the PHC string of a password, with a salt of its own. It fails when
// ctx ends before there is room for the run.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	salt := make([]byte, saltLength)
	_, _ = rand.Read(salt) // never fails: the runtime ends the program instead
	key, err := h.run(ctx, password, salt, h.params)
	if err != nil {
		return "", err
	}
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.params.Memory, h.params.Passes, h.params.Lanes,
		b64.EncodeToString(salt), b64.EncodeToString(key)), nil
}

// Verify reports whether a password is the one of a hash, and whether the hash is
// stale: made with other parameters than are wanted now. An empty hash is
// nobody's: it costs a run as every other, and no password is right.
func (h *Hasher) Verify(ctx context.Context, hash, password string) (right, stale bool, err error) {
	if hash == "" {
		_, err := h.run(ctx, password, make([]byte, saltLength), h.params)
		return false, false, err
	}
	p, salt, want, err := parse(hash)
	if err != nil {
		return false, false, err
	}
	got, err := h.run(ctx, password, salt, p)
	if err != nil {
		return false, false, err
	}
	return subtle.ConstantTimeCompare(got, want) == 1, p != h.params, nil
}

func (h *Hasher) run(ctx context.Context, password string, salt []byte, p Params) ([]byte, error) {
	select {
	case h.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for a run of Argon2: %w", ctx.Err())
	}
	defer func() { <-h.slots }()
	h.runs.Add(1)
	// The same letters are the same password, however a keyboard composes them.
	return argon2.IDKey([]byte(norm.NFKC.String(password)), salt, p.Passes, p.Memory, p.Lanes, keyLength), nil
}

// errHash has no part of the hash: it ends in logs.
var errHash = errors.New("the password's hash is not a PHC string of Argon2id")

func parse(hash string) (p Params, salt, key []byte, err error) {
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return p, nil, nil, errHash
	}
	n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.Memory, &p.Passes, &p.Lanes)
	if err != nil || n != 3 || p.Memory < 8 || p.Memory > mostMemory || p.Passes < 1 || p.Passes > mostPasses || p.Lanes < 1 || p.Lanes > mostLanes {
		return p, nil, nil, errHash
	}
	salt, saltErr := base64.RawStdEncoding.DecodeString(parts[4])
	key, keyErr := base64.RawStdEncoding.DecodeString(parts[5])
	if saltErr != nil || keyErr != nil || len(salt) < 8 || len(key) != keyLength {
		return p, nil, nil, errHash
	}
	return p, salt, key, nil
}
