package producer_test

import (
	"context"
	"fmt"
	"log"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/producer"
	"github.com/pxactions/px/store"
)

// A program of the same house, beside the database: no HTTP and no key. Without
// a queue the scheduler's sweep finds the feedback.
func ExampleAccept() {
	s, err := store.Open("postgres://px@db/px", store.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	e := engine.New(engine.Options{Store: s, SubjectKey: []byte("the same as the producers have")})
	defer e.Close()

	receipts, err := producer.Accept(context.Background(), e, engine.Source{System: "rounds-app"},
		engine.Event{EventID: "round-17/3", SourceType: model.SourceRounds, Hospital: "RUH", Title: "Lift out of order"})
	for _, r := range receipts {
		fmt.Println(r.EventID, r.Status, r.ID, r.Err)
	}
	if err != nil {
		fmt.Println(err)
	}
}
