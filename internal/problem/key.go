package problem

import (
	"net/http"
	"strings"

	"github.com/pxactions/px/model"
)

// SecretOf reads the API key of a request: Authorization: Bearer, else
// X-API-Key; empty: none.
func SecretOf(r *http.Request) string {
	if scheme, rest, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(rest)
	}
	return strings.TrimSpace(r.Header.Get("X-API-Key"))
}

func ofKey(e *model.KeyError) *Problem {
	unauthorized := func(code, title string) *Problem { return New(http.StatusUnauthorized, code, title, "") }
	switch e.Why {
	case model.KeyMissing:
		return unauthorized(KeyMissing, "An API key is needed, as Authorization: Bearer or X-API-Key")
	case model.KeyRevoked:
		return unauthorized(KeyRevoked, "This API key was revoked")
	case model.KeyExpired:
		return unauthorized(KeyExpired, "This API key has expired")
	case model.KeyScope:
		return New(http.StatusForbidden, Scope, "This API key may not do that", "it needs the scope "+e.Scope)
	default:
		return unauthorized(KeyUnknown, "This API key is not known")
	}
}
