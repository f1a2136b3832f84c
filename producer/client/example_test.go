package client_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/pxactions/px/producer/client"
)

func Example() {
	c, err := client.New("https://px.example.org", "px_0123456789", client.WithSpool("/var/spool/his/px.ndjson", 64<<20))
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	receipt, err := c.Send(ctx, client.Feedback{
		EventID: "srv-2026-000123", SourceType: "survey", Hospital: "RUH", Department: "ED",
		Survey: "INPATIENT-2026", Score: &client.Score{Value: 2},
	})
	fmt.Println(receipt.Status, receipt.ID, err)

	// What an intake that was away left in the spool goes out here: at start, and now and then.
	flushed, err := c.Flush(ctx)
	fmt.Println(flushed.Delivered, flushed.LeftBytes, err)
}
