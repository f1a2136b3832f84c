package web

import (
	"fmt"
	"net/http"

	"github.com/pxactions/px/model"
)

// frame is what every page has around it.
type frame struct {
	Page    string // its title
	Who     string // who is logged in; empty: nobody
	Inside  bool   // there are pages to go to
	Queues  bool   // asynq's dashboard among them
	Clock   string // domain time; empty: not known
	Speed   string // how fast domain time runs; empty: as usual
	Refresh int    // seconds after which the page loads itself again; 0: never
	Again   string // address of this page with refreshing turned on or off; empty: not offered
}

// newFrame is the frame for who sits at the browser; a zero now is not shown.
func (s *server) newFrame(r *http.Request, title string, now model.Now) frame {
	f := frame{Page: title, Inside: !s.o.Login, Queues: s.may(r, model.RightQueues)}
	if v := visitor(r); v != nil {
		f.Who, f.Inside = v.User.Name, true
	}
	if now.Domain.IsZero() {
		return f
	}
	f.Clock = now.Domain.UTC().Format("Mon 2 Jan 2006, 15:04:05 MST")
	if now.Clock.Speed != 1 && now.Clock.Speed != 0 {
		f.Speed = fmt.Sprintf("%g", now.Clock.Speed)
	}
	return f
}
