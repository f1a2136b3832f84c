package model

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// ChainStart is what the first chained log row of an action is chained to.
// before is how many rows the action had then: 0, but for actions that are older
// than the chain.
func ChainStart(id ActionID, before int) []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "px action log 1 %s %d", id, before))
	return sum[:]
}

// LogHash chains a log row to the hash of the one before it: SHA-256 over that
// and all facts of the row, with the salted hash of its words in their place, so
// that words may be erased. The facts are one JSON list:
//
//	[action, seq, type, message, created_by, old_status, new_status, metadata, text_hash, created_at]
//
// ids and hashes as lower-case text and hex ("" for none), metadata with sorted
// keys and numbers as JavaScript writes them, the instant in UTC (RFC 3339) to
// the microsecond.
func LogHash(prev []byte, l *ActionLog) ([]byte, error) {
	facts, err := plainJSON(l.Metadata.V)
	if err != nil {
		return nil, fmt.Errorf("log row %d: %w", l.Seq, err)
	}
	by := ""
	if l.CreatedBy != nil {
		by = l.CreatedBy.String()
	}
	at := l.CreatedAt.UTC().Truncate(time.Microsecond).Format(time.RFC3339Nano)
	var row bytes.Buffer
	row.Write(prev)
	e := json.NewEncoder(&row)
	e.SetEscapeHTML(false)
	if err := e.Encode([]any{
		l.ActionID.String(), l.Seq, l.LogType, l.Message, by, l.OldStatus, l.NewStatus, facts, hex.EncodeToString(l.TextHash), at,
	}); err != nil {
		return nil, fmt.Errorf("log row %d: %w", l.Seq, err)
	}
	sum := sha256.Sum256(bytes.TrimSuffix(row.Bytes(), []byte("\n")))
	return sum[:], nil
}

// plainJSON is a value as it comes back from the database: what was a number, a
// list or a text of a type of its own is just that.
func plainJSON(v LogMetadata) (any, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var plain any
	return plain, json.Unmarshal(b, &plain)
}
