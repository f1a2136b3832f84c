package engine

import (
	"context"
	"fmt"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

// Actor is who makes a request, and what they may do: an API key, for itself or
// on behalf of a person.
type Actor struct {
	store.Standing
	Key    *model.APIKey
	User   *model.User // nil: the key acts for itself
	Access sla.Access
}

// Actor says who acts with a key and the code of a person, empty for nobody.
// Errors: *model.KeyError when the key may name nobody, model.ErrForbidden when
// the person is not an active user of the directory, model.ErrUnavailable.
func (e *Engine) Actor(ctx context.Context, key *model.APIKey, person string) (Actor, error) {
	g, err := e.Store.Standing(ctx)
	if err != nil {
		return Actor{}, err
	}
	a := Actor{Standing: g, Key: key}
	if person == "" {
		a.Access = sla.ServiceAccess(g.Dir).Within(key.Hospitals.V)
		return a, nil
	}
	if !key.Allows(store.ScopeOnBehalfOf) {
		return Actor{}, &model.KeyError{Why: model.KeyScope, Scope: store.ScopeOnBehalfOf}
	}
	for _, u := range g.Dir.Users {
		if u.Code == person {
			a.User = u
		}
	}
	if a.User == nil {
		return Actor{}, fmt.Errorf("%w: On-Behalf-Of names no user of the directory", model.ErrForbidden)
	}
	access, err := g.Dir.Access(a.User.ID, g.Readers, g.Now.Domain)
	if err != nil {
		return Actor{}, err
	}
	a.Access = access.Within(key.Hospitals.V)
	return a, nil
}

// Person is the id of the person who acts; nil: the key acts for itself.
func (a *Actor) Person() *model.UserID {
	if a.User == nil {
		return nil
	}
	id := a.User.ID // the directory is everybody's
	return &id
}

// Scope names key and person, for what each of them asks for once.
func (a *Actor) Scope() string {
	if a.User == nil {
		return a.Key.ID.String()
	}
	return a.Key.ID.String() + "/" + a.User.ID.String()
}
