-- ?0 is how many actions, ?1 how many departments and ?2 how many people each of
-- ten hospitals has. Everything follows from setseed: the same rows each time.
SELECT setseed(0.4);
--bun:split
INSERT INTO hospitals (id, code, name, zone, created_at, updated_at)
SELECT md5('hospital' || h)::uuid, 'CROWD' || h, 'Hospital ' || h, 'Asia/Riyadh', now(), now() FROM generate_series(0, 9) h;
--bun:split
INSERT INTO departments (id, hospital_id, code, name, created_at, updated_at)
SELECT md5('department' || h || '/' || d)::uuid, md5('hospital' || h)::uuid, 'D' || d, 'Department ' || d, now(), now()
FROM generate_series(0, 9) h, generate_series(0, ?1 - 1) d;
--bun:split
INSERT INTO users (id, code, name, hospital_id, department_id, created_at, updated_at)
SELECT md5('user' || h || '/' || u)::uuid, 'crowd' || h || '-' || u, 'Person ' || u, md5('hospital' || h)::uuid,
    md5('department' || h || '/' || u % ?1)::uuid, now(), now()
FROM generate_series(0, 9) h, generate_series(0, ?2 - 1) u;
--bun:split
-- Phrases of eight words: of thirty that everybody uses, the first most, and one
-- of five thousand that are rare. Every third phrase is Arabic.
CREATE TEMPORARY TABLE phrases AS
SELECT p AS no, (SELECT string_agg(CASE WHEN i = 8 THEN 'topic' || floor(5000 * random() ^ 2)
        WHEN p % 3 = 0 THEN ('{انتظار,طبيب,ممرضة,موعد,قسم,طوارئ,دواء,مريض,تأخير,خدمة,نظافة,غرفة,استقبال,فاتورة,ألم,عملية,أشعة,مختبر,طعام,ضوضاء,موقف,هاتف,شكوى,رعاية,سرير,ملف,تحويل,صيدلية,زيارة,معلومات}'::text[])[1 + floor(30 * random() ^ 3)::int]
        ELSE ('{waiting,doctor,nurse,appointment,department,emergency,medicine,patient,delay,service,cleaning,room,reception,invoice,pain,surgery,radiology,laboratory,food,noise,parking,telephone,complaint,care,bed,file,referral,pharmacy,visit,information}'::text[])[1 + floor(30 * random() ^ 3)::int] END, ' ')
    FROM generate_series(1, 8) i) AS words
FROM generate_series(0, 19999) p;
--bun:split
CREATE UNIQUE INDEX ON phrases (no);
--bun:split
ANALYZE phrases;
--bun:split
INSERT INTO actions (id, ref, source_type, subject_key, title, description, hospital_id, department_id, category, priority, severity, status,
    assigned_to, assigned_at, received_at, clock_start, due_at, original_due_at, is_overdue, escalation_level, involved_users, restricted,
    next_at, next_kind, next_stage, gen, armed_gen, arm_after, log_seq, created_at, updated_at)
SELECT (lpad(to_hex((extract(epoch FROM created) * 1000)::bigint), 12, '0') || '7' || substr(md5(n::text), 1, 3) || 'a' || substr(md5(n::text), 4, 15))::uuid,
    'CROWD' || h || '-26-' || lpad(n::text, 7, '0'),
    CASE WHEN n % 1000 = 7 THEN 'management_review' ELSE
        ('{complaint,survey,call_center,social_media,kpi,manual,complaint_resolution,rounds,staff_feedback,patient_observation,patient_family_committee,executive_committee,department_meeting,quality_audit}'::text[])[1 + floor(14 * r1 ^ 3)::int] END,
    md5('subject' || n), t.words, d1.words || ' ' || d2.words || ' ' || d3.words, md5('hospital' || h)::uuid, department,
    CASE WHEN r2 < 0.02 THEN 'patient_safety' ELSE ('{service_quality,staff_behavior,facility,clinical_quality,process_improvement,other}'::text[])[1 + floor(6 * r3 ^ 2)::int] END,
    severity, severity, status, CASE WHEN r4 < 0.002 THEN NULL ELSE owner END, created, created, created, due, due, overdue,
    CASE WHEN NOT overdue OR r5 < 0.4 THEN 0 WHEN r5 < 0.8 THEN 1 WHEN r5 < 0.97 THEN 2 ELSE 3 END,
    CASE WHEN n % 200 = 0 THEN jsonb_build_array(owner) ELSE '[]' END, n % 100 = 3,
    CASE WHEN live AND status <> 'approved' THEN due END, CASE WHEN live AND status <> 'approved' THEN 'overdue' END,
    CASE WHEN live AND status <> 'approved' THEN 0 END, 3, 3, created, 4, created,
    least(now, CASE WHEN live THEN created + r6 * (now - created) ELSE due + (r6 - 0.3) * interval '10 days' END)
FROM (SELECT q.*, q.created + q.target + CASE WHEN q.r6 < 0.05 THEN q.r5 * interval '60 days' ELSE interval '0' END AS due,
        md5('department' || q.h || '/' || floor(?1 * q.r5 ^ 2)::int)::uuid AS department,
        md5('user' || q.h || '/' || floor(?2 * q.r3 ^ 4)::int)::uuid AS owner,
        CASE WHEN NOT q.live THEN CASE WHEN q.r4 < 0.03 THEN 'cancelled' ELSE 'closed' END
            WHEN q.r4 < 0.38 THEN 'open' WHEN q.r4 < 0.82 THEN 'in_progress' WHEN q.r4 < 0.94 THEN 'pending_approval' ELSE 'approved' END AS status,
        CASE WHEN q.live THEN q.created + q.target < q.now ELSE q.r1 < 0.15 END AS overdue
    FROM (SELECT p.*, floor(10 * p.r0)::int AS h,
            CASE WHEN p.r7 < 0.01 THEN 'critical' WHEN p.r7 < 0.13 THEN 'high' WHEN p.r7 < 0.65 THEN 'medium' ELSE 'low' END AS severity,
            CASE WHEN p.r7 < 0.01 THEN 24 WHEN p.r7 < 0.13 THEN 48 WHEN p.r7 < 0.65 THEN 72 ELSE 120 END * interval '1 hour' AS target,
            p.r8 < CASE WHEN p.n > 0.95 * ?0 THEN 0.9 WHEN p.n > 0.8 * ?0 THEN 0.15 ELSE 0.016 END AS live
        FROM (SELECT n, date_trunc('second', now()) AS now, date_trunc('second', now() - interval '1095 days' * (1 - n::float8 / ?0)) AS created,
                random() AS r0, random() AS r1, random() AS r2, random() AS r3, random() AS r4, random() AS r5, random() AS r6, random() AS r7, random() AS r8,
                floor(20000 * random())::int AS p0
            FROM generate_series(1, ?0) n) p) q) a
JOIN phrases t ON t.no = a.p0
JOIN phrases d1 ON d1.no = (a.p0 * 7 + 3) % 20000 JOIN phrases d2 ON d2.no = (a.n * 31 + 11) % 20000 JOIN phrases d3 ON d3.no = (a.n * 17 + a.p0) % 20000
ORDER BY a.n;
--bun:split
DROP TABLE phrases;
