//! What Meta sends, and how it signs it.
//!
//! Every body is made up, and spelled as Meta spells it: no white space, `\uXXXX` for everything
//! beyond ASCII, `\/` for a slash. Parsing one and writing it again gives other bytes, which is
//! what a check of the signature must notice.

use aws_lc_rs::hmac;

/// A made-up event notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// What it is called on the command line; unique.
    pub name: &'static str,
    /// The kind of object that it is about, as in the body's `object`.
    pub object: &'static str,
    /// What happened, for people.
    pub summary: &'static str,
    /// The bytes of the body.
    pub body: &'static str,
}

impl Event {
    /// The event of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        EVENTS.iter().find(|event| event.name == name)
    }

    /// The first event about this kind of object.
    pub fn about(object: &str) -> Option<&'static Self> {
        EVENTS.iter().find(|event| event.object == object)
    }
}

/// The value of `X-Hub-Signature-256` for these bytes.
pub fn sign(secret: &str, body: &[u8]) -> String {
    signature("sha256", hmac::HMAC_SHA256, secret, body)
}

/// The value of the older `X-Hub-Signature`, which Meta still sends and which proves nothing here.
pub fn sign_sha1(secret: &str, body: &[u8]) -> String {
    signature("sha1", hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret, body)
}

fn signature(name: &str, algorithm: hmac::Algorithm, secret: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(algorithm, secret.as_bytes());
    let tag = hmac::sign(&key, body);
    let digits = tag.as_ref().iter().map(|byte| format!("{byte:02x}"));
    format!("{name}={}", digits.collect::<String>())
}

/// One of every kind that Meta documents, and the odd ones among them.
pub const EVENTS: &[Event] = &[
    Event {
        name: "user_photos",
        object: "user",
        summary: "A user's photos changed, with values.",
        body: r#"{"entry":[{"time":1764000001,"changes":[{"field":"photos","value":{"verb":"update","object_id":"100000000000011"}}],"id":"100000000000001","uid":"100000000000001"}],"object":"user"}"#,
    },
    Event {
        name: "user_changed_fields",
        object: "user",
        summary: "A user's fields changed, without values.",
        body: r#"{"entry":[{"time":1764000002,"id":"100000000000001","uid":"100000000000001","changed_fields":["photos","email"]}],"object":"user"}"#,
    },
    Event {
        name: "page_message",
        object: "page",
        summary: "A person writes to a page.",
        body: r#"{"object":"page","entry":[{"id":"100000000000002","time":1764000003210,"messaging":[{"sender":{"id":"100000000000021"},"recipient":{"id":"100000000000002"},"timestamp":1764000003105,"message":{"mid":"m_SYNTHETIC-_0001","text":"Gr\u00fc\u00dfe \ud83d\udc4b <3 100% a@example.org https:\/\/example.org\/?a=1&b=2"}}]}]}"#,
    },
    Event {
        name: "page_postback",
        object: "page",
        summary: "A person presses a button of a page's bot.",
        body: r#"{"object":"page","entry":[{"id":"100000000000002","time":1764000004210,"messaging":[{"sender":{"id":"100000000000021"},"recipient":{"id":"100000000000002"},"timestamp":1764000004105,"postback":{"mid":"m_SYNTHETIC-_0002","title":"\u00bfEmpezar?","payload":"BEGIN\/1"}}]}]}"#,
    },
    Event {
        name: "page_delivery",
        object: "page",
        summary: "A page's message reached a person.",
        body: r#"{"object":"page","entry":[{"id":"100000000000002","time":1764000005210,"messaging":[{"sender":{"id":"100000000000021"},"recipient":{"id":"100000000000002"},"timestamp":1764000005105,"delivery":{"mids":["m_SYNTHETIC-_0003","m_SYNTHETIC-_0004"],"watermark":1764000005000}}]}]}"#,
    },
    Event {
        name: "page_leadgen",
        object: "page",
        summary: "A person fills in a lead form.",
        body: r#"{"object":"page","entry":[{"id":"100000000000002","time":1764000006,"changes":[{"field":"leadgen","value":{"leadgen_id":"100000000000031","page_id":"100000000000002","form_id":"100000000000032","adgroup_id":"100000000000033","ad_id":"100000000000034","created_time":1764000005}}]}]}"#,
    },
    Event {
        name: "page_feed",
        object: "page",
        summary: "A person comments on a page's post.",
        body: r#"{"object":"page","entry":[{"id":"100000000000002","time":1764000007,"changes":[{"field":"feed","value":{"item":"comment","verb":"add","post_id":"100000000000002_41","comment_id":"41_42","from":{"id":"100000000000021","name":"\u0e2a\u0e21\u0e0a\u0e32\u0e22"},"message":"\u0e14\u0e35\u0e21\u0e32\u0e01","created_time":1764000007}}]}]}"#,
    },
    Event {
        name: "instagram_message",
        object: "instagram",
        summary: "A person mentions an account in a story.",
        body: r#"{"object":"instagram","entry":[{"time":1764000008761,"id":"100000000000003","messaging":[{"sender":{"id":"100000000000051"},"recipient":{"id":"100000000000003"},"timestamp":1764000008500,"message":{"mid":"aWdfUkVIRUFSU0FM","attachments":[{"type":"story_mention","payload":{"url":"https:\/\/cdn.example.org\/story?asset_id=1&signature=2"}}]}}]}]}"#,
    },
    Event {
        name: "instagram_comment",
        object: "instagram",
        summary: "A person comments on an account's picture.",
        body: r#"{"object":"instagram","entry":[{"id":"100000000000003","time":1764000009,"changes":[{"field":"comments","value":{"id":"100000000000052","text":"\u2764\ufe0f \u6f02\u4eae","from":{"id":"100000000000051","username":"synthetic"},"media":{"id":"100000000000053","media_product_type":"FEED"}}}]}]}"#,
    },
    Event {
        name: "whatsapp_message",
        object: "whatsapp_business_account",
        summary: "A person writes to a number.",
        body: r#"{"object":"whatsapp_business_account","entry":[{"id":"100000000000004","changes":[{"value":{"messaging_product":"whatsapp","metadata":{"display_phone_number":"15550100001","phone_number_id":"100000000000061"},"contacts":[{"profile":{"name":"Bj\u00f6rk"},"wa_id":"15550100002"}],"messages":[{"from":"15550100002","id":"wamid.UkVIRUFSU0FMLTAwMDE=","timestamp":"1764000010","text":{"body":"\ud83d\udc69\u200d\ud83d\ude80 ok? https:\/\/example.org\/x"},"type":"text"}]},"field":"messages"}]}]}"#,
    },
    Event {
        name: "whatsapp_flow_reply",
        object: "whatsapp_business_account",
        summary: "A person sends a flow's form: JSON within JSON.",
        body: r#"{"object":"whatsapp_business_account","entry":[{"id":"100000000000004","changes":[{"value":{"messaging_product":"whatsapp","metadata":{"display_phone_number":"15550100001","phone_number_id":"100000000000061"},"contacts":[{"profile":{"name":"B"},"wa_id":"15550100002"}],"messages":[{"from":"15550100002","id":"wamid.UkVIRUFSU0FMLTAwMDI=","timestamp":"1764000011","type":"interactive","interactive":{"type":"nfm_reply","nfm_reply":{"name":"flow","body":"Sent","response_json":"{\"flow_token\": \"t\", \"answer\": \"caf\\u00e9\"}"}}}]},"field":"messages"}]}]}"#,
    },
    Event {
        name: "whatsapp_status",
        object: "whatsapp_business_account",
        summary: "A number's message was delivered.",
        body: r#"{"object":"whatsapp_business_account","entry":[{"id":"100000000000004","changes":[{"value":{"messaging_product":"whatsapp","metadata":{"display_phone_number":"15550100001","phone_number_id":"100000000000061"},"statuses":[{"id":"wamid.UkVIRUFSU0FMLTAwMDM=","status":"delivered","timestamp":"1764000012","recipient_id":"15550100002","conversation":{"id":"c0ffee","origin":{"type":"utility"}},"pricing":{"billable":true,"pricing_model":"PMP","category":"utility","type":"regular"}}]},"field":"messages"}]}]}"#,
    },
    Event {
        name: "whatsapp_status_failed",
        object: "whatsapp_business_account",
        summary: "A number's message was not delivered.",
        body: r#"{"object":"whatsapp_business_account","entry":[{"id":"100000000000004","changes":[{"value":{"messaging_product":"whatsapp","metadata":{"display_phone_number":"15550100001","phone_number_id":"100000000000061"},"statuses":[{"id":"wamid.UkVIRUFSU0FMLTAwMDM=","status":"failed","timestamp":"1764000013","recipient_id":"15550100002","errors":[{"code":131026,"title":"Message undeliverable","message":"Message undeliverable","error_data":{"details":"Unable to deliver."},"href":"https:\/\/developers.facebook.com\/docs\/whatsapp\/"}]}]},"field":"messages"}]}]}"#,
    },
    Event {
        name: "whatsapp_template_status",
        object: "whatsapp_business_account",
        summary: "A message template was approved; a number stands where others have strings.",
        body: r#"{"entry":[{"id":"100000000000004","time":1764000014,"changes":[{"value":{"event":"APPROVED","message_template_id":1000000000000071,"message_template_name":"order_update","message_template_language":"pt_BR","reason":"NONE","message_template_category":"UTILITY"},"field":"message_template_status_update"}]}],"object":"whatsapp_business_account"}"#,
    },
    Event {
        name: "whatsapp_account_update",
        object: "whatsapp_business_account",
        summary: "An account was restricted or removed.",
        body: r#"{"object":"whatsapp_business_account","entry":[{"id":"100000000000004","time":1764000015,"changes":[{"value":{"event":"PARTNER_REMOVED"},"field":"account_update"}]}]}"#,
    },
    Event {
        name: "permissions",
        object: "permissions",
        summary: "A user takes a permission back.",
        body: r#"{"object":"permissions","entry":[{"id":"100000000000001","uid":"100000000000001","time":1764000016,"changes":[{"field":"connected","value":{"verb":"disconnected"}}]}]}"#,
    },
    Event {
        name: "ad_account",
        object: "ad_account",
        summary: "An ad changed.",
        body: r#"{"object":"ad_account","entry":[{"id":"100000000000005","time":1764000017,"changes":[{"field":"field_changed","value":{"object_id":"100000000000081","object_type":"ad","changed_fields":["effective_status"]}}]}]}"#,
    },
    Event {
        name: "ad_account_array",
        object: "ad_account",
        summary: "An ad has issues; the root is an array.",
        body: r#"[{"object":"ad_account","entry":[{"id":"100000000000005","time":1764000018,"changes":[{"field":"with_issues_ad_objects","value":{"id":"100000000000081","level":"AD","error_code":"1815869","error_summary":"L\u00f6schung","error_message":"See https:\/\/example.org\/"}}]}]}]"#,
    },
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn signatures_are_those_that_another_program_makes() {
        // The first by `openssl dgst -sha256 -hmac a`, the second is RFC 4231, test case 2.
        assert_eq!(sign("a", b""), A);
        assert_eq!(sign("Jefe", b"what do ya want for nothing?"), B);
        // RFC 2202, test case 2.
        assert_eq!(sign_sha1("Jefe", b"what do ya want for nothing?"), C);
    }

    #[test]
    fn signatures_agree_with_the_fixtures_that_python_made() {
        let cases = include_str!("../../../tests/fixtures/signatures.json");
        let cases: Vec<serde_json::Value> = serde_json::from_str(cases).expect("JSON");
        let text = |value: Option<&serde_json::Value>| {
            value.and_then(|text| text.as_str()).expect("text").to_owned()
        };
        let verified = cases.iter().filter(|case| case.get("matched_secret").is_some());
        for case in verified.clone() {
            let matched = case.get("matched_secret").map(ToString::to_string).expect("an index");
            let secret = text(case.pointer(&format!("/app_secrets/{matched}")));
            let body = text(case.get("body"));
            assert_eq!(sign(&secret, body.as_bytes()), text(case.pointer("/headers/0")));
        }
        assert_eq!(verified.count(), 5);
    }

    const A: &str = "sha256=3acdaa86b3d73e8d18b7019d3f520000531a23db3b6dda7a94ad28db61a9008c";
    const C: &str = "sha1=effcdf6ae5eb2fa2d27416d5f184df9c259a7c79";
    const B: &str = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";

    #[test]
    fn every_event_has_a_name_of_its_own_and_the_object_that_it_says() {
        let names: HashSet<_> = EVENTS.iter().map(|event| event.name).collect();
        assert_eq!(names.len(), EVENTS.len());
        for event in EVENTS {
            let body: serde_json::Value = serde_json::from_str(event.body).expect("JSON");
            let root = body.get(0).unwrap_or(&body);
            assert_eq!(root.get("object").and_then(|o| o.as_str()), Some(event.object));
            assert_eq!(Event::named(event.name), Some(event));
            assert!(Event::about(event.object).is_some());
        }
    }

    #[test]
    fn bodies_are_spelled_as_meta_spells_them() {
        assert!(EVENTS.iter().all(|event| event.body.is_ascii()));
        let message = Event::named("page_message").expect("is listed").body;
        assert!(message.contains(r"\u00fc") && message.contains(r"https:\/\/"));
        let parsed: serde_json::Value = serde_json::from_str(message).expect("JSON");
        assert_ne!(parsed.to_string(), message, "writing it again must change it");
    }
}
