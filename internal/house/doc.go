// Package house holds the house rules that a compiler does not know, as tests: which package may import
// which (imports_test.go) and who may read the machine's clock (clock_test.go). It has no code of its own.
package house
