ALTER TABLE companies ADD PRIMARY KEY (id);
ALTER TABLE locations ADD PRIMARY KEY (id);
ALTER TABLE skills ADD PRIMARY KEY (id);
ALTER TABLE jobs ADD PRIMARY KEY (id),
    ADD FOREIGN KEY (company_id) REFERENCES companies,
    ADD FOREIGN KEY (location_id) REFERENCES locations;
ALTER TABLE job_skills ADD PRIMARY KEY (job_id, skill_id),
    ADD FOREIGN KEY (job_id) REFERENCES jobs,
    ADD FOREIGN KEY (skill_id) REFERENCES skills;
ALTER TABLE users ADD PRIMARY KEY (id);
ALTER TABLE applications ADD PRIMARY KEY (id),
    ADD FOREIGN KEY (job_id) REFERENCES jobs,
    ADD FOREIGN KEY (user_id) REFERENCES users;

CREATE INDEX jobs_posted_at ON jobs (posted_at);

SELECT setval(pg_get_serial_sequence('companies', 'id'), (SELECT max(id) FROM companies));
SELECT setval(pg_get_serial_sequence('locations', 'id'), (SELECT max(id) FROM locations));
SELECT setval(pg_get_serial_sequence('skills', 'id'), (SELECT max(id) FROM skills));
SELECT setval(pg_get_serial_sequence('jobs', 'id'), (SELECT max(id) FROM jobs));
SELECT setval(pg_get_serial_sequence('users', 'id'), (SELECT max(id) FROM users));
SELECT setval(pg_get_serial_sequence('applications', 'id'), (SELECT max(id) FROM applications));
