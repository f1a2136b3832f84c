package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

// MaxDirectoryItems is how many entries are set at once at most.
const MaxDirectoryItems = 10_000

// maxDirectoryValues is how much may stand in them together: what is small in
// bytes can be large in memory.
const maxDirectoryValues = 30 * MaxDirectoryItems

// PutDirectory sets people or places by their codes: a JSON array of entries of one
// kind, all or none. request is the id of the request, for the record. Errors:
// *UnreadableError, ErrTooLarge (the number of entries, or of values in them), model.FieldErrors that
// name index and field, model.ErrForbidden, model.ErrUnavailable.
func (e *Engine) PutDirectory(ctx context.Context, who Actor, request string, kind sla.DirectoryKind, raw []byte) (store.DirectoryCounts, error) {
	var none store.DirectoryCounts
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil || !bytes.HasPrefix(bytes.TrimLeft(raw, " \t\r\n"), []byte("[")) {
		bad := &UnreadableError{Why: "a JSON array is expected"}
		var se *json.SyntaxError
		if errors.As(err, &se) {
			bad.Why, bad.Offset = "not JSON", se.Offset
		}
		return none, bad
	}
	if !faithful(raw) {
		return none, &UnreadableError{Why: "not " + wantText}
	}
	if len(items) > MaxDirectoryItems || values(raw) > maxDirectoryValues {
		return none, ErrTooLarge
	}
	doc, err := sla.ParseDirectoryList(kind, raw)
	if err != nil {
		return none, err
	}
	done, err := e.Store.PutDirectory(ctx, store.DirectoryPut{
		Kind: kind, Doc: doc, Key: who.Key.ID, Person: who.Person(), Request: request,
		May: func(h model.HospitalID) bool { return who.Access.MayAt(model.RightDirectory, h) },
	})
	if err != nil {
		return none, err
	}
	log := e.Log.Info().Stringer("key", who.Key.ID).Str("request_id", request).Str("kind", string(kind))
	if who.User != nil {
		log = log.Stringer("person", who.User.ID)
	}
	log.Int("created", done.Created).Int("changed", done.Changed).Int("unchanged", done.Unchanged).Msg("directory set")
	return done, nil
}

// values is about how many values stand in a JSON text.
func values(raw []byte) int {
	n, text := 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case !text && (c == ',' || c == '[' || c == '{'):
			n++
		}
	}
	return n
}
