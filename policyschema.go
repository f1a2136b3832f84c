package main

import (
	"fmt"

	"github.com/pxactions/px/sla"
)

type policySchemaCmd struct{}

// Run prints the schema.
func (policySchemaCmd) Run() error {
	schema, err := sla.Schema()
	if err != nil {
		return err
	}
	fmt.Println(string(schema))
	return nil
}
