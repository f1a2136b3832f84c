// Package web is where people ask the engine: the pages that show actions and
// their stories, and asynq's dashboard. It has no login, so its process binds
// to loopback, and it shows no restricted action.
package web
