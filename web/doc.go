// Package web is where people ask the engine: the pages that show actions and
// their stories, and asynq's dashboard. With a login they show what the access
// table says; without, they are for loopback, and show no restricted action.
package web
