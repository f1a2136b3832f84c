// Package notify tells people: it turns one message row into a letter and hands
// it to a channel (log, email, webhook).
//
// The row owns the retries. A channel tries once and says what happened: nil,
// or a *SendError that tells whether another try can help and when. It never
// retries, queues or remembers anything itself; Backoff and NextTry say when
// the row is to be tried again. Every try of a row carries the same key
// (Message-ID and X-PX-Message-Key, or webhook-id), so that a receiver can
// recognise a repeat.
//
// A letter holds facts and a link, never a patient's words: there is no field
// for a title or a text.
package notify
