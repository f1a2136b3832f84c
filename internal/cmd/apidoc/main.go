// Command apidoc prints the description of the HTTP interface, as px producer and
// px web serve it, for the client in internal/apiclient to be generated from.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/pxactions/px/internal/openapi"
	"github.com/pxactions/px/producer"
	"github.com/pxactions/px/web"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "apidoc:", err)
		os.Exit(1)
	}
}

func run() error {
	doc, err := openapi.New("", producer.Describe, web.Describe)
	if err != nil {
		return err
	}
	mux, served := http.NewServeMux(), httptest.NewRecorder()
	doc.Mount(mux)
	mux.ServeHTTP(served, httptest.NewRequest(http.MethodGet, "/openapi.json", nil))
	var text bytes.Buffer
	if err := json.Indent(&text, served.Body.Bytes(), "", "  "); err != nil {
		return err
	}
	_, err = fmt.Fprintln(os.Stdout, text.String())
	return err
}
