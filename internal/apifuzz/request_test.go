package apifuzz

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
)

// request is one to be sent.
type request struct {
	op     *operation // nil: of none
	method string
	target string // path and query, as they stand in the request's first line
	header http.Header
	body   []byte
	// broken tells how the body is to be cut on its way; empty: it is not.
	broken string
}

// String shows a request so that it can be sent again.
func (r request) String() string {
	body := r.body
	if len(body) > 2_000 {
		body = body[:2_000]
	}
	return fmt.Sprintf("%s %.1000s %.1000v %s\n%q", r.method, r.target, r.header, r.broken, body)
}

// request makes one: sound ones and broken ones, each as often.
func (m *maker) request(s *spec) request {
	op := one(m, s.operations)
	if m.chance(35) { // what changes something is worth more
		op = one(m, slices.DeleteFunc(slices.Clone(s.operations), func(o operation) bool { return o.method == http.MethodGet }))
	}
	r := request{op: &op, method: op.method, header: http.Header{}}
	sound := m.chance(50)
	m.fill(&r, sound)
	if len(op.bodies) > 0 {
		m.body(&r, sound)
	}
	m.authorize(&r, sound)
	if !sound {
		m.damage(&r)
	}
	return r
}

// fill sets the parameters.
func (m *maker) fill(r *request, sound bool) {
	path, query := r.op.path, url.Values{}
	for _, p := range r.op.params {
		name, in := p["name"].(string), p["in"].(string)
		if p["required"] != true && !m.chance(map[string]int{"query": 12, "header": 25, "path": 100}[in]) {
			continue
		}
		text := fmt.Sprint(m.value(p["schema"].(object), name))
		switch {
		case !sound && m.chance(25):
			text = m.odd()
		case name == "event_id":
			text = m.pool.pick(m, "event")
		case name == "id" && m.chance(75):
			text = m.pool.fitting(m, r.op.id)
		case name == "If-Match":
			text = one(m, []string{"*", m.pool.pick(m, "etag"), `"1"`, `"2"`})
		case name == "If-None-Match":
			text = m.pool.pick(m, "file-etag")
		case name == "Last-Event-ID":
			text = fmt.Sprint(m.IntN(500))
		case name == "On-Behalf-Of" && slices.Contains([]string{"approve-action", "reject-action"}, r.op.id):
			text = one(m, []string{"ruh-amal", "ruh-tariq", "ber-hoffmann", "grp-px", text})
		case name == "On-Behalf-Of" && !m.chance(60):
			continue
		}
		switch in {
		case "path":
			if name == "id" && strings.Contains(r.op.path, "/feedback/") {
				text = m.pool.pick(m, "feedback")
				if id := m.pool.pick(m, "revisable"); r.op.id == "revise-feedback" && id != "" && sound {
					text = id
				}
			}
			path = strings.Replace(path, "{"+name+"}", url.PathEscape(text), 1)
		case "query":
			query.Add(name, strings.ReplaceAll(strings.Trim(text, "[]"), " ", ","))
		default:
			r.header.Set(name, text)
		}
	}
	if both := m.pool.pick(m, "file"); strings.HasSuffix(r.op.path, "/{attachment}") && both != "" && sound {
		path = both
	}
	r.target = path
	if len(query) > 0 {
		r.target += "?" + query.Encode()
	}
}

// body sets the body and its type.
func (m *maker) body(r *request, sound bool) {
	kinds := []string{}
	for kind := range r.op.bodies {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	kind := one(m, kinds)
	if kind == "multipart/form-data" {
		m.form(r, sound)
		return
	}
	r.header.Set("Content-Type", kind)
	v := m.value(r.op.bodies[kind], "")
	if r.op.id == "revise-feedback" && m.chance(70) {
		_, id, _ := strings.Cut(r.target, "/v1/feedback/")
		id, _, _ = strings.Cut(id, "/")
		if e := m.pool.event(m, id); e != nil {
			v = e
		}
	}
	if !sound {
		for range m.IntN(3) {
			v = m.spoil(v)
		}
	}
	r.body = m.encode(v, !sound && m.chance(25))
	if kind == "application/x-ndjson" {
		for range m.IntN(3) {
			r.body = append(r.body, m.encode(m.value(r.op.bodies[kind], ""), !sound && m.chance(30))...)
		}
	}
}

// form writes a form with a file.
func (m *maker) form(r *request, sound bool) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	name, content := "floor.txt", "Dry now. "+marker
	if !sound {
		name = one(m, []string{"", m.odd(), "../../x.txt", "a.exe", strings.Repeat("f", 5_000) + ".txt", "c:\\x.txt", "\u202etxt.exe"})
		content = one(m, []string{"", "MZ\x90\x00\x03", "%PDF-1.7\n", "<html><script>alert(1)</script>", "\x89PNG\r\n\x1a\n", strings.Repeat(marker, 20_000), m.odd(), content})
	}
	fields := [][2]string{{"description", marker}, {"is_evidence", one(m, []string{"true", "false"})}}
	if !sound {
		fields = append(fields, [2]string{one(m, []string{"colour", "", "file", "description"}), m.odd()}, [2]string{"is_evidence", m.odd()})
	}
	last := sound || m.chance(70)
	if !last {
		m.file(w, name, content)
	}
	for _, f := range fields {
		if m.chance(60) {
			_ = w.WriteField(f[0], f[1]) // into memory
		}
	}
	if last {
		m.file(w, name, content)
	}
	_ = w.Close() // into memory
	r.body = b.Bytes()
	r.header.Set("Content-Type", w.FormDataContentType())
	if !sound && m.chance(20) {
		r.body = r.body[:m.IntN(len(r.body))]
	}
}

func (m *maker) file(w *multipart.Writer, name, content string) {
	h := textproto.MIMEHeader{}
	h.Set("Content-Disposition", `form-data; name="file"; filename="`+strings.NewReplacer("\r", "", "\n", "", `"`, "").Replace(name)+`"`)
	part, _ := w.CreatePart(h)         // into memory
	_, _ = part.Write([]byte(content)) // into memory
}

// authorize sets the key.
func (m *maker) authorize(r *request, sound bool) {
	key := m.pool.keys["all"]
	if m.chance(10) || !sound && m.chance(20) {
		names := []string{"all", "ber", "read", "feedback", "quarantine", "services", "revoked", "expired"}
		key = m.pool.keys[one(m, names)]
	}
	switch {
	case !sound && m.chance(5):
		return
	case !sound && m.chance(5):
		r.header.Set("Authorization", one(m, []string{"Bearer", "Bearer ", "Basic eDp5", "Bearer px_nobody", "Bearer " + strings.Repeat("k", 9_000), "Bearer " + m.odd()}))
	case m.chance(20):
		r.header.Set("X-API-Key", key)
	default:
		r.header.Set("Authorization", "Bearer "+key)
	}
}

// damage breaks something outside the body.
func (m *maker) damage(r *request) {
	sep := "?"
	if strings.Contains(r.target, "?") {
		sep = "&"
	}
	switch m.IntN(14) {
	case 0:
		r.method = one(m, []string{"PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE", "PROPFIND", "GET", "POST"})
	case 1:
		r.target = one(m, []string{"/v1/nothing", "/v1/actions/", "/v1//actions", "/v1/./actions", "/v1/actions/../feedback", "/v1/actions/x/y/z", "/v1/feedback/" + strings.Repeat("p", 30_000), "/v1/%00", "/v1/actions/%ff/note", "/v1/", "/v1"})
	case 2:
		r.target += sep + one(m, []string{"colour=red", "limit=0", "limit=1000000000000000000000", "limit=-1", "after=" + url.QueryEscape(m.odd()), "%zz=1", "a=%", "sort=;", "status=open&status=nope", "text=%00", "text=%FF", "text=" + url.QueryEscape(`"`+marker), "text=" + strings.Repeat("(", 150), "total=maybe", "&&&=", "escalated=101", "due_from=0000-01-01T00:00:00Z&due_to=9999-12-31T23:59:59Z", "from=9999-12-31T23:59:59-23:59", "event_id=%00", "event_id=" + strings.Repeat("e", 9_000)})
	case 3:
		if c := m.pool.pick(m, "cursor"); c != "" {
			at := m.IntN(len(c))
			r.target += sep + "after=" + url.QueryEscape(one(m, []string{c[:at], c + "x", c[:at] + "A" + c[at:], strings.ToUpper(c)})) + "&sort=due"
		}
	case 4:
		r.header.Set("Content-Type", one(m, []string{"text/plain", "", "application/json; charset=latin1", "application/xml", "multipart/form-data", "multipart/form-data; boundary=\"\"", ";", "application/json;;", "*/*"}))
	case 5:
		r.header.Set("Content-Encoding", one(m, []string{"gzip", "identity", "br"}))
	case 6:
		r.header.Set("If-Match", one(m, []string{"3", `"`, `""`, `W/"1"`, `"1","2"`, `"99999999999999999999"`, "*, *", `"-1"`, m.headerText()}))
	case 7:
		r.header.Set("Idempotency-Key", one(m, []string{"a b", "", strings.Repeat("k", 201), m.headerText(), "again-1"}))
	case 8:
		r.header.Set("On-Behalf-Of", one(m, []string{"nobody", m.headerText(), one(m, m.pool.people), " ruh-amal ", strings.Repeat("u", 5_000)}))
	case 9:
		r.header.Set("Accept", one(m, []string{"text/plain", "text/html", "*/*;q=0", "application/json;q=x", ";", "application/xml"}))
	case 10:
		r.header.Set("X-Request-Id", m.headerText())
	case 11, 12:
		if len(r.body) == 0 {
			return
		}
		r.broken = one(m, []string{cutBody, cutChunks, badChunks})
	}
}

// headerText is odd, but may stand in a header.
func (m *maker) headerText() string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return '.'
		}
		return c
	}, m.odd())
}
