'use strict';
// Judges messages with npm's mailauth. Reads one JSON object from the file named first: {zone: {name: {TYPE: [[...], ...] | "SERVFAIL"}},
// cases: [{name, file, ip, helo, sender}]}; prints a JSON list of what it found. Every look-up is answered from the zone.
const fs = require('node:fs');
const path = require('node:path');
const { authenticate } = require(path.join(process.argv[3], 'mailauth'));

const input = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));

const coded = code => Object.assign(new Error(code), { code });

const resolver = async (name, type) => {
    const node = input.zone[String(name).toLowerCase().replace(/\.$/, '')];
    if (!node) throw coded('ENOTFOUND');
    const found = node[type] ?? node['*'];
    if (found === 'SERVFAIL') throw coded('ESERVFAIL');
    if (!found || !found.length) throw coded('ENODATA');
    return found;
};

const one = async item => {
    try {
        const got = await authenticate(fs.readFileSync(item.file), {
            ip: item.ip, helo: item.helo, sender: item.sender, mta: 'mx.test.invalid', resolver, disableBimi: true
        });
        return {
            name: item.name,
            dkim: (got.dkim?.results || []).filter(r => r.signingDomain).map(r => ({ selector: r.selector, result: r.status.result, comment: r.status.comment || '' })),
            arc: got.arc?.status?.result || 'none',
            spf: got.spf?.status?.result || 'none',
            dmarc: got.dmarc?.status?.result || 'none',
            policy: got.dmarc?.policy || ''
        };
    } catch (err) {
        return { name: item.name, error: String(err.message) };
    }
};

(async () => {
    const out = [];
    for (const item of input.cases) out.push(await one(item));
    console.log('@@' + JSON.stringify(out));
})();
