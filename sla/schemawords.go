package sla

// schemaWords is what each key of the policy document means, by the struct and
// the key: what editors show. A key that is missing here fails Schema's test.
func schemaWords() map[string]string {
	all := map[string]string{}
	for _, part := range []map[string]string{calendarWords(), triggerWords(), routingWords(), configWords()} {
		for key, words := range part {
			all[key] = words
		}
	}
	return all
}

func calendarWords() map[string]string {
	return map[string]string{
		"Policy.max_age":   "How old a source's received_at may be: 7d, 36h. Left out: 7d.",
		"Policy.load_cap":  "Live actions at which the holders of a role have enough. Left out: no cap.",
		"Policy.merge":     "Which signals of one subject join its live action. Left out: all but complaints and patient safety, within 72h.",
		"Policy.calendars": "When people are there. Left out: around the clock.",
		"Policy.triggers":  "What is negative, and how bad. Left out: the built-in rules.",
		"Policy.routing":   "Whose it is. Left out: the department's manager, and so on down.",
		"Policy.sla":       "By when. Left out: the built-in SLA config.",

		"MergeSpec.window":         "How far apart they were received, at most: 72h, 7d. Left out: 72h.",
		"MergeSpec.complaints":     "merge: complaints join, too; link: they become actions of their own, linked. Left out: link.",
		"MergeSpec.patient_safety": "The same of what is about a patient's safety. Left out: link.",
		"MergeSpec.is_active":      "false: nothing joins or is linked. Left out: true.",

		"CalendarSpec.name":         "1 to 200 characters, once in the policy.",
		"CalendarSpec.timezone":     "IANA time zone, such as Asia/Riyadh.",
		"CalendarSpec.always_open":  "Around the clock; then nothing else.",
		"CalendarSpec.weekly":       "Windows by weekday (mon) or run of weekdays (sun-thu). Days left out are closed.",
		"CalendarSpec.holidays":     "Closed dates.",
		"CalendarSpec.special_days": "Dates with windows of their own, which win over weekly ones and holidays.",

		"HolidaySpec.name": "For people.",
		"HolidaySpec.date": "2026-09-23, or 09-23 for every year.",
		"HolidaySpec.from": "First date of a run.",
		"HolidaySpec.to":   "Last date of the run, included.",

		"SpecialSpec.name": "For people.",
		"SpecialSpec.date": "2026-09-23, or 09-23 for every year.",
		"SpecialSpec.from": "First date of a run.",
		"SpecialSpec.to":   "Last date of the run, included.",
		"SpecialSpec.days": "Only these weekdays of the run: sun-thu. Left out: all.",
		"SpecialSpec.open": "Windows, as 09:00-17:00. Left out: closed.",
	}
}

func triggerWords() map[string]string {
	return map[string]string{
		"TriggerSpec.name":          "For people.",
		"TriggerSpec.hospital":      "Only feedback of this hospital, by code.",
		"TriggerSpec.department":    "Only feedback of this department of the hospital, by code.",
		"TriggerSpec.source_type":   "Only feedback of this kind of source.",
		"TriggerSpec.source_system": "Only feedback of this system.",
		"TriggerSpec.survey":        "Only answers to this survey, by code.",
		"TriggerSpec.complaints":    "Whether complaints become actions.",
		"TriggerSpec.score":         "Which scores are negative.",
		"TriggerSpec.nps":           "Bands of points, 0 to 10; above all of them: not negative.",
		"TriggerSpec.sentiment":     "Bands from -1 to 1; above all of them: not negative.",
		"TriggerSpec.kpi":           "Bands of per cent off target, on the bad side; below all of them: not negative.",

		"TriggerSpec.raise": "What makes negative feedback graver; []: nothing here.",

		"RaiseSpec.category": "Only feedback of this category.",
		"RaiseSpec.keywords": "Only feedback with one of these words or phrases in its title or text; abus*: words that begin so.",
		"RaiseSpec.severity": "At least this severity.",
		"RaiseSpec.negative": "true: makes feedback negative that would pass, too, save praise. Left out: false.",

		"ScoreSpec.below": "Negative below this, in per cent of the scale. Left out: 50.",
		"ScoreSpec.bands": "Severity of a negative score, in per cent; outside all bands: low.",
		"UpTo.at_most":    "The band's upper end, included.",
		"UpTo.severity":   "Severity within the band.",

		"FromSpec.at_least": "The band's lower end, included.",
		"FromSpec.severity": "Severity within the band.",
	}
}

func routingWords() map[string]string {
	return map[string]string{
		"RuleSpec.name":                 "For people and the action's story; 1 to 200 characters.",
		"RuleSpec.description":          "For people.",
		"RuleSpec.source_type":          "Only actions of this kind of source.",
		"RuleSpec.category":             "Only actions of this category.",
		"RuleSpec.severity":             "Only actions of this severity.",
		"RuleSpec.hospital":             "Only actions of this hospital, by code.",
		"RuleSpec.department":           "Only actions of this department of the hospital, by code.",
		"RuleSpec.assign_to_role":       "To the holder of this role with the fewest live actions.",
		"RuleSpec.assign_to_user":       "To this person, by code.",
		"RuleSpec.assign_to_department": "The action's department from here on, of the hospital.",
		"RuleSpec.priority":             "Higher first. Left out: 0.",
		"RuleSpec.is_active":            "false: kept, not used. Left out: true.",
	}
}

func configWords() map[string]string {
	return map[string]string{
		"ConfigSpec.name":                   "1 to 200 characters.",
		"ConfigSpec.hospital":               "For this hospital, by code. Left out: for all.",
		"ConfigSpec.department":             "For this department of the hospital, by code.",
		"ConfigSpec.critical_hours":         "From the start of the clock to due. Left out: 24.",
		"ConfigSpec.high_hours":             "From the start of the clock to due. Left out: 48.",
		"ConfigSpec.medium_hours":           "From the start of the clock to due. Left out: 72.",
		"ConfigSpec.low_hours":              "From the start of the clock to due. Left out: 120.",
		"ConfigSpec.targets":                "By severity, instead of its hours: 36h, 90m, or working days: 3wd.",
		"ConfigSpec.reminders":              "Instead of reminder_hours_before: 4h, 2h open, 24h elapsed, 75%.",
		"ConfigSpec.reminder_hours_before":  "Hours before due, one or a list; []: none. Left out: 4.",
		"ConfigSpec.auto_escalate":          "false: no stages at all. Left out: true.",
		"ConfigSpec.escalation_delay_hours": "From due to the first stage, and between stages. Left out: 2.",
		"ConfigSpec.stages":                 "By severity, its own ladder; []: none. Left out: 3, 3, 2, 1 stages from critical down.",
		"ConfigSpec.calendar":               "Which calendar counts open time. Left out: the department's, else the hospital's.",
		"ConfigSpec.clock":                  "By severity, which hours a target counts. Left out: critical, high elapsed; medium, low open.",
		"ConfigSpec.ack_targets":            "By severity, from an assignment to the start of the work: 1h, 2wd, or none. Left out: 1h, 4h, 1wd, 2wd from critical down, where that is before due.",
		"ConfigSpec.ack_reroute":            "true: who misses it loses the action to somebody else, once. Left out: false.",
		"ConfigSpec.max_hold_hours":         "The longest that an action may be held, elapsed. Left out: 336.",
		"ConfigSpec.hold_critical":          "true: critical actions may be held, too. Left out: false.",
		"ConfigSpec.reopen":                 "What time a reopened action gets: a fresh target, or what was remaining, 4 hours of its clock at least. Left out: fresh.",
		"ConfigSpec.requires_approval":      "false: may be closed without approval. Left out: true.",
		"ConfigSpec.approval_exempt":        "What needs no approval all the same.",
		"ConfigSpec.is_active":              "false: kept, not used. Left out: true.",

		"StageSpec.after_hours":    "Hours after due, or after the stage before; parts are allowed.",
		"StageSpec.clock":          "Which hours that counts. Left out: the severity's own.",
		"StageSpec.tell":           "Whom it tells: manager, role:NAME, user:CODE. Left out: by the ladder.",
		"StageSpec.channels":       "Over these alone, for whoever has one of them. Left out: all of theirs.",
		"StageSpec.repeat":         "So many times more, after the same time each. Left out: 0.",
		"StageSpec.raise_priority": "At least this from here on. Left out: leaves it.",

		"Exemption.source_type": "Only actions of this kind of source.",
		"Exemption.severity":    "Only actions of this severity.",
	}
}
