// Package store is the ledger: the only place with SQL. One exported method is
// one transaction over a batch; what it decides, it decides by calling the pure
// rules inside that transaction. Write methods may be called twice: an item
// that was applied before yields the row's current effect again.
package store
